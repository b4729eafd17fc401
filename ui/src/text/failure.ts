import type { AdjustmentError, UndoRefusal } from '../host/generated/domain';
import type { Problem } from '../host/generated/contract';
import type {
  Failure,
  FailureCode,
  KeyringState,
  RateLineFault,
  RateLineProblem,
  SqlRefusal,
} from '../host/generated/ipc';
import { EXTENSION_DAYS_MAX } from './limits';
import { counted, instant, number, quoted, type Reader } from './format';
import { roleWord, sourceWord } from './words';

/** A failure for a person: what happened, and what to do next. */
export interface FailureText {
  headline: string;
  next: string;
}

const text = (headline: string, next: string): FailureText => ({ headline, next });

/** Why the keyring cannot be used, and what to do. */
export function keyringText(state: KeyringState): FailureText {
  switch (state) {
    case 'available':
      return text('The keyring works.', '');
    case 'locked':
      return text(
        'The keyring is locked, or there is no default one yet.',
        'Open your system’s password app (“Passwords and Keys”, KWallet): unlock the keyring “Login”, or make one of that name and set it as the default. Then try again. Or keep the credentials for this session only.',
      );
    case 'waiting':
      return text(
        'The keyring waits for your answer.',
        'Look for its window, it may be behind this one, and allow access.',
      );
    case 'missing':
      return text(
        'There is no keyring service.',
        'Install gnome-keyring or KWallet and log in again. Or keep the credentials for this session only. They are never written to a file.',
      );
    case 'denied':
      return text(
        'The keyring refused this app.',
        'Allow Paywall Console in your system’s password app, then try again. Or keep the credentials for this session only.',
      );
  }
}

/** What becomes of the sample's credentials and copy where no keyring keeps them. */
export const SAMPLE_SESSION = 'Without a keyring, it is kept until you close the app.';

/** Why a change cannot be made as asked. */
export function refusalText(error: AdjustmentError): FailureText {
  switch (error.refusal) {
    case 'days_out_of_range':
      return text(
        'That is not a number of days that a trial can get.',
        `Give 1 to ${EXTENSION_DAYS_MAX} days.`,
      );
    case 'end_out_of_range':
      return text(
        'The trial cannot end then.',
        `Choose an instant in the future, not before the present end, and at most ${EXTENSION_DAYS_MAX} days away.`,
      );
    case 'no_trial_running':
      return text('No trial is running.', 'There is nothing to end. Refresh to see what changed.');
    case 'limit_out_of_range':
      return text(
        'That is not a limit that can be set.',
        'Give a whole number from 0 on, or choose “No limit”.',
      );
    case 'expiry_in_past':
      return text('That instant is over.', 'Choose one in the future, or leave the end open.');
    case 'no_override':
      return text(
        'This meter has no override.',
        'The plan’s limit holds already. Refresh to see what changed.',
      );
    case 'unknown_plan':
      return text(
        'The server does not know that plan.',
        'Refresh, then choose one of the plans in the list.',
      );
    case 'already_suspended':
      return text('The tenant is suspended already.', 'Refresh to see by whom and why.');
    case 'not_suspended':
      return text('The tenant is not suspended.', 'There is nothing to lift. Refresh to see what changed.');
    case 'same_plan':
      return text('The tenant has that plan already.', 'Choose another plan.');
    case 'only_by_repair':
      return text(
        'This is repaired where the difference is shown.',
        'Open Billing health, and repair it there.',
      );
  }
}

/** Why an adjustment cannot be undone. */
export function undoRefusalText(refusal: UndoRefusal, reader: Reader = {}): FailureText {
  switch (refusal.refusal) {
    case 'already_undone':
      return text('It was undone already.', 'There is nothing left to undo.');
    case 'is_undo':
      return text('This is an undo itself.', 'Make the change again if it should hold after all.');
    case 'in_stripe':
      return text('It was made in Stripe.', 'Take it back in Stripe; the paywall follows.');
    case 'changed_since': {
      const when = refusal.at === null ? '' : ` on ${instant(refusal.at, reader)}`;
      return refusal.by === null
        ? text(
            `Billing or time changed the tenant since${when}.`,
            'Make a new change instead; undoing would take that away too.',
          )
        : text(`Changed again by ${quoted(refusal.by)}${when}.`, 'Undo that change first.');
    }
  }
}

/** What the server refused. */
export function problemText(problem: Problem, reader: Reader = {}): FailureText {
  switch (problem.code) {
    case 'unauthenticated':
      return codeText({ code: 'token_refused' });
    case 'token_expired':
      return codeText({ code: 'token_expired' });
    case 'role_too_low':
      return problem.required_role
        ? codeText({ code: 'role_too_low', required: problem.required_role })
        : text('The token may not do this.', 'Ask an owner of the paywall server, or use another token.');
    case 'not_found':
      return text('The server does not know it (any more).', 'Refresh. It may have been deleted.');
    case 'method_not_allowed':
      return text('The server does not offer this.', 'Check that the server is as new as this console.');
    case 'invalid_request': {
      const fields = (problem.fields ?? []).map((it) => `${it.field}: ${it.message}`).join(' ');
      return text('The server could not take what was sent.', fields || problem.detail);
    }
    case 'invalid_cursor':
      return text('The list changed while it was read.', 'Refresh to read it from its start.');
    case 'change_refused':
      return problem.adjustment
        ? refusalText(problem.adjustment)
        : text('The server refused the change.', problem.detail);
    case 'undo_refused':
      return problem.undo
        ? undoRefusalText(problem.undo, reader)
        : text('The server refused to undo it.', problem.detail);
    case 'idempotency_key_required':
    case 'idempotency_key_reused':
      return text(
        'The server took the change for another one.',
        'Nothing was changed. Close the dialog and try again.',
      );
    case 'idempotency_key_void':
      return text(
        'The change was given up before it arrived.',
        'It was not made. Close the dialog and try again.',
      );
    case 'other_instance':
      return text(
        'The server has another database than the one the change was sent to.',
        'It cannot tell what became of the change. Look at the tenant, then decide again.',
      );
    case 'version_required':
      return text(
        'The server wants to know which state is changed.',
        'Refresh and try again. Nothing was changed.',
      );
    case 'version_mismatch':
      return text(
        'Somebody changed this tenant meanwhile.',
        'Nothing was changed. Look at the new preview, then decide again.',
      );
    case 'too_large':
      return text('That is too long for the server.', 'Shorten the text and try again.');
    case 'rate_limited':
      return text('The server has too much to do at once.', 'Wait half a minute and try again.');
    case 'unavailable':
      return text(
        'The server’s database is away or full.',
        'Try again in a minute. If it stays, look at the server’s log.',
      );
    case 'stripe_unavailable':
      return text(
        'The server cannot ask Stripe right now.',
        'Try again in a minute. Billing health tells since when, and why.',
      );
    case 'internal':
      return codeText({ code: 'server_fault' });
  }
}

const RATE_LINES: Record<RateLineProblem, string> = {
  fields: 'it has not the four fields date,from,to,rate',
  date: 'its first field is no date like 2026-01-31',
  currency: 'a currency has three letters, such as EUR',
  rate: 'the rate is no decimal above zero',
  twice: 'an earlier line has another rate for the same day and currencies',
};

/** What is wrong with a line of a file of rates. */
export function rateFaultText({ line, problem, text: written }: RateLineFault): string {
  return `Line ${number(line)}: ${RATE_LINES[problem]}${written ? ` (${quoted(written)})` : ''}.`;
}

const SQL_REFUSALS: Record<SqlRefusal, FailureText> = {
  empty: text('There is nothing to ask yet.', 'Write a SELECT statement.'),
  not_a_question: text(
    'That is no question.',
    'Only SELECT, WITH and VALUES are run: nothing in the copy can be changed from here.',
  ),
  several: text('That is more than one statement.', 'Ask one at a time.'),
  too_long: text('The statement is too long.', 'It may have 100,000 characters.'),
};

/** A failure's code for a person. */
export function codeText(failure: FailureCode, reader: Reader = {}): FailureText {
  switch (failure.code) {
    case 'no_profile':
      return text(
        'No profile is open.',
        'Choose one at the top of the sidebar, or add one under Connections.',
      );
    case 'unknown_profile':
      return text('That profile does not exist any more.', 'Choose another one under Connections.');
    case 'address_invalid':
      return text(
        'That is not a web address.',
        'Write it with its scheme, such as https://paywall.example.com.',
      );
    case 'address_insecure':
      return text(
        'This address is not encrypted, and it is another machine’s.',
        'Over plain http the token could be read on the way. Give the address with https://.',
      );
    case 'address_unknown':
      return text(
        `No host is called ${quoted(failure.host)}.`,
        'Check the spelling. Inside a company network, check that you are connected to it.',
      );
    case 'unreachable':
      return text(
        `${sourceWord(failure.source)} cannot be reached.`,
        'Check your connection. What is shown is the local copy; changes need a connection.',
      );
    case 'timed_out':
      return text(`${sourceWord(failure.source)} took too long to answer.`, 'Try again in a moment.');
    case 'tls_failed':
      return text(
        'The connection is not secure, so it was not made.',
        'The server’s certificate is expired, self-signed or for another name. Have it mended; do not work around it.',
      );
    case 'not_paywall_server':
      return text(
        'Something answers there, but it is no paywall server.',
        'Check the address: it is that of the paywall server, without a path.',
      );
    case 'server_version':
      return text(
        `The server speaks version ${failure.server}, this console speaks ${failure.console}.`,
        'Update the older one of the two.',
      );
    case 'server_changed':
      return text(
        'Another paywall server, or another database of it, answers at this address.',
        'If a change was just sent, nobody can tell whether it was made: look at the tenant, then decide again. If the new server is meant, clear the local copy under Connections, so that the two are not mixed.',
      );
    case 'token_refused':
      return text(
        'The server refused the token.',
        'Make a new one with “paywall-server token create” and paste it under Connections → Replace.',
      );
    case 'token_expired':
      return text(
        'The token has expired.',
        'Make a new one with “paywall-server token create” and paste it under Connections → Replace.',
      );
    case 'token_missing':
      return text('There is no token for this profile.', 'Paste one under Connections → Replace.');
    case 'role_too_low':
      return text(
        `This needs a token with the role ${roleWord(failure.required)}.`,
        'Ask an owner of the paywall server, or use another token.',
      );
    case 'refused':
      return problemText(failure.problem, reader);
    case 'server_fault':
      return text(
        'The server had a fault.',
        'Try again. If it stays, give the request id to whoever runs the server: its log tells more.',
      );
    case 'read_only':
      return text(
        'This profile is read-only.',
        'Nothing was sent. Its write mode can be changed under Connections.',
      );
    case 'unsettled':
      return text(
        'Not sure it worked: the answer was lost.',
        'Nothing is guessed. Try again: the same change is never made twice.',
      );
    case 'not_made':
      return text(
        'The change was not made.',
        'Its answer was lost, and the server has given it up since: nothing was changed, and it is not made later either. Try again; it is sent as a new change.',
      );
    case 'stripe_key_refused':
      return text(
        'Stripe refused the key.',
        'Make a new restricted key in Stripe and paste it under Connections → Replace.',
      );
    case 'stripe_permission':
      return text(
        `The Stripe key may not read ${failure.stream}.`,
        failure.permission
          ? `Give it the permission ${failure.permission} in Stripe, or do without ${failure.stream}.`
          : `Give it read access to ${failure.stream} in Stripe, or do without.`,
      );
    case 'stripe_missing':
      return text(
        `Stripe does not offer ${failure.stream} here.`,
        'What needs it is left out; all else is shown.',
      );
    case 'stripe_rate_limited':
      return text('Stripe asked to slow down.', 'It goes on by itself in a moment.');
    case 'stripe_fault':
      return text('Stripe had a fault.', 'It is tried again by itself. See status.stripe.com if it stays.');
    case 'keyring':
      return keyringText(failure.state);
    case 'cache_newer':
      return text(
        'The local copy was written by a newer console.',
        'Update this console, or clear the local copy under Connections: it is read again from the server.',
      );
    case 'cache_broken':
      return text(
        'The local copy could not be read.',
        'It was removed and is being fetched again: there is nothing to do. If you made a change just before, check in Activity whether it is there.',
      );
    case 'cache_in_use':
      return text(
        'Another console has this profile open.',
        'Close that one, then open the profile again under Connections.',
      );
    case 'disk_full':
      return text('The disk is full.', 'Make room, then try again. Nothing was half written.');
    case 'profiles_unreadable':
      return text(
        'The list of profiles could not be read.',
        `It was put aside whole as ${quoted(failure.kept_as)}, and an empty list was begun. Connect again here; or close the console, mend that file and put it back as profiles.json.`,
      );
    case 'queries_unreadable':
      return text(
        'The saved queries could not be read.',
        `They were put aside whole as ${quoted(failure.kept_as)}, and an empty list was begun. To have them back, close the console, mend that file and put it back as queries.json.`,
      );
    case 'profile_rejected':
      return text('The profile was not saved.', 'Look at what is marked in the form, then save again.');
    case 'rates_unreadable':
      return text(
        `The file has ${counted(failure.faults.length, 'line')} that cannot be read.`,
        'No rate was taken from it. Mend what is listed and import the file again.',
      );
    case 'zone_unknown':
      return text(
        'There is no such time zone.',
        'Choose one of the list. Nothing was changed; a zone that this system knows by a new name may be missing.',
      );
    case 'sql_refused':
      return SQL_REFUSALS[failure.reason];
    case 'sql_failed':
      return text(
        `The database does not understand it: ${quoted(failure.message)}.`,
        'Correct the statement and run it again.',
      );
    case 'sql_timed_out':
      return text(
        `It took longer than ${counted(failure.seconds, 'second')} and was stopped.`,
        'Ask for fewer rows or a shorter time.',
      );
    case 'not_found':
      return text('It is not in the local copy.', 'Refresh, or ask the server for it in the search.');
    case 'cancelled':
      return text('It was stopped.', 'What was read until then is kept.');
    case 'internal':
      return text(
        'The console had a fault.',
        'Try again. If it stays, copy the details and report them; no secret is in them.',
      );
  }
}

/** A failure for a person: what happened, and what to do next. */
export function failureText(failure: Failure, reader: Reader = {}): FailureText {
  return codeText(failure, reader);
}
