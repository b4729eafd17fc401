//! How long something is waited for, by a measure that tells a partner that is slow from a process that is.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// Into so many parts a patience is cut. Each is a wake-up for everybody who waits.
const PARTS: u32 = 4;

/// Ends when a time has passed of which each part was waited for by itself: where this process has so much to
/// do that it wakes up late, that is longer by as much. Else a rush of callers would look like a database that
/// is away, which lets requests pass that nobody decided about.
#[derive(Debug)]
pub(crate) struct Patience {
    part: Duration,
    left: u32,
    sleep: Pin<Box<Sleep>>,
}

impl Patience {
    pub(crate) fn of(whole: Duration) -> Self {
        let part = whole / PARTS;
        Self { part, left: PARTS, sleep: Box::pin(sleep(part)) }
    }

    /// Whether it is over. Asked again after that, it still is.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.left > 0 {
            if self.sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.left -= 1;
            self.sleep.as_mut().reset(Instant::now() + self.part);
        }
        Poll::Ready(())
    }

    /// What `work` answers before it is over.
    pub(crate) async fn wait<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => self.poll(context).map(|()| None),
        })
        .await
    }
}

/// What `work` answers within a patience.
pub(crate) async fn within<T>(whole: Duration, work: impl Future<Output = T>) -> Option<T> {
    Patience::of(whole).wait(work).await
}

/// What `work` answers, waited for by one patience after the other as long as others are `answered` meanwhile, and
/// at most so many: in a rush each waits for those before it, and a partner that answers is not away.
pub(crate) async fn within_turns<T>(
    whole: Duration,
    turns: u32,
    answered: impl Fn() -> u64,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    for _ in 0..turns {
        let before = answered();
        if let Some(done) = within(whole, work.as_mut()).await {
            return Some(done);
        }
        if answered() == before {
            break;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn it_lasts_as_long_as_it_says() {
        let started = Instant::now();
        assert_eq!(within(Duration::from_millis(40), pending::<()>()).await, None);
        assert!(started.elapsed() >= Duration::from_millis(40), "{:?}", started.elapsed());
        assert_eq!(within(Duration::ZERO, ready(1)).await, Some(1), "what is there already takes no time");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_this_process_lost_is_not_taken_off() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            // Nobody gets to run meanwhile.
            std::thread::sleep(Duration::from_millis(300));
            sleep(Duration::from_millis(50)).await;
            let _ = sender.send(7);
        });
        assert_eq!(within(Duration::from_millis(200), receiver).await, Some(Ok(7)));
    }

    #[tokio::test]
    async fn who_is_in_a_queue_that_moves_waits_longer_but_not_for_ever() {
        use std::sync::atomic::{AtomicU64, Ordering};
        let (whole, answered) = (Duration::from_millis(20), AtomicU64::new(0));
        let moves = || answered.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        assert_eq!(within_turns(whole, 5, moves, pending::<()>()).await, None);
        assert!(started.elapsed() >= whole * 5, "{:?}", started.elapsed());
        let late = async {
            sleep(whole * 2).await;
            7
        };
        assert_eq!(within_turns(whole, 50, moves, late).await, Some(7));
        let started = Instant::now();
        assert_eq!(within_turns(Duration::from_millis(200), 50, || 0, pending::<()>()).await, None);
        assert!(started.elapsed() < Duration::from_secs(2), "nobody is answered: {:?}", started.elapsed());
    }

    #[tokio::test]
    async fn once_over_it_stays_so() {
        let mut patience = Patience::of(Duration::from_millis(40));
        assert_eq!(patience.wait(pending::<()>()).await, None);
        assert_eq!(patience.wait(pending::<()>()).await, None);
        assert_eq!(patience.wait(ready(1)).await, Some(1));
    }
}
