//! An invoice's facts as short text, for whoever keeps many of them: Stripe's own object is twenty times as long.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{CouponDuration, InvoiceFacts, InvoiceLine, InvoiceStatus, LineDiscount, Recurring};

/// All but the ids of the invoice and its customer, in the order of [`InvoiceFacts`].
#[derive(Serialize, Deserialize)]
struct Kept<'a>(
    Cow<'a, str>,
    InvoiceStatus,
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    i64,
    i64,
    u32,
    Option<Cow<'a, str>>,
    Vec<KeptLine<'a>>,
);

/// In the order of [`InvoiceLine`]; one without a subscription of its own has the invoice's.
#[derive(Serialize, Deserialize)]
struct KeptLine<'a>(
    Option<Cow<'a, str>>,
    Option<Cow<'a, str>>,
    Option<Cow<'a, str>>,
    Option<Recurring>,
    Option<i64>,
    i64,
    Vec<(i64, Option<CouponDuration>)>,
    i64,
    i64,
    i64,
);

impl InvoiceFacts {
    /// As text, without the ids of the invoice and its customer.
    pub fn to_kept(&self) -> Result<String, serde_json::Error> {
        let text = |it: &Option<Arc<str>>| it.as_deref().map(|it| Cow::Owned(it.to_owned()));
        let line = |it: &InvoiceLine| {
            // Most lines bill the invoice's own subscription.
            let own = it.subscription.as_ref().filter(|own| self.subscription.as_ref() != Some(own));
            let off = it.discounts.iter().map(|it| (it.off, it.duration)).collect();
            KeptLine(
                text(&own.cloned()),
                text(&it.item),
                text(&it.price),
                it.recurring,
                it.quantity,
                it.amount,
                off,
                it.inclusive_tax,
                it.start,
                it.end,
            )
        };
        serde_json::to_string(&Kept(
            Cow::Borrowed(&self.currency),
            self.status,
            self.created_at,
            self.finalized_at,
            self.due_at,
            self.paid_at,
            self.total,
            self.amount_paid,
            self.attempts,
            text(&self.subscription),
            self.lines.iter().map(line).collect(),
        ))
    }

    /// From such a text.
    pub fn from_kept(id: &str, customer: &str, text: &str) -> Result<Self, serde_json::Error> {
        let Kept(
            currency,
            status,
            created_at,
            finalized_at,
            due_at,
            paid_at,
            total,
            amount_paid,
            attempts,
            subscription,
            lines,
        ) = serde_json::from_str(text)?;
        let shared = |it: Option<Cow<'_, str>>| it.map(|it| Arc::<str>::from(&*it));
        let subscription = shared(subscription);
        let line = |it: KeptLine<'_>| {
            let KeptLine(own, item, price, recurring, quantity, amount, off, inclusive_tax, start, end) = it;
            InvoiceLine {
                subscription: shared(own).or_else(|| subscription.clone()),
                item: shared(item),
                price: shared(price),
                recurring,
                quantity,
                amount,
                discounts: off.into_iter().map(|(off, duration)| LineDiscount { off, duration }).collect(),
                inclusive_tax,
                start,
                end,
            }
        };
        Ok(Self {
            id: id.into(),
            customer: customer.into(),
            lines: lines.into_iter().map(line).collect(),
            subscription: subscription.clone(),
            currency: (&*currency).into(),
            status,
            created_at,
            finalized_at,
            due_at,
            paid_at,
            total,
            amount_paid,
            attempts,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn an_invoice_is_the_same_after_it_was_kept() {
        let line = |subscription: serde_json::Value| {
            json!({"amount": 900, "quantity": 2, "period": {"start": 5, "end": 9},
                "price": {"id": "price \"1\"", "recurring": {"interval": "month", "usage_type": "metered"}},
                "discounts": [{"id": "di_1", "coupon": {"id": "co", "duration": "once"}}],
                "discount_amounts": [{"amount": 7, "discount": "di_1"}, {"amount": 1, "discount": "di_2"}],
                "taxes": [{"amount": 3, "tax_behavior": "inclusive"}],
                "parent": {"subscription_item_details": {"subscription": subscription, "subscription_item": "si_1"}}})
        };
        for status in ["draft", "open", "paid", "uncollectible", "void", "of a later version"] {
            let raw = json!({"id": "in_1", "customer": "cus_1", "currency": "KWD", "status": status, "created": 4,
                "due_date": 8, "status_transitions": {"finalized_at": 5, "paid_at": null}, "total": 1800,
                "amount_paid": 12, "attempt_count": 3, "lines": {"data": [line(json!("sub_2")), line(json!("sub_1"))]},
                "parent": {"subscription_details": {"subscription": "sub_1"}}});
            let facts = InvoiceFacts::from_stripe(&raw).unwrap();
            assert_eq!(facts.lines.len(), 2);
            let again = InvoiceFacts::from_kept("in_1", "cus_1", &facts.to_kept().unwrap()).unwrap();
            assert_eq!(again, facts);
        }
    }
}
