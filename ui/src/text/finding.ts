import type { Finding, FindingCode, Mode, ProfileCheck } from '../host/generated/ipc';
import { modeWord } from './words';

/** A finding about a draft: the field that it stands by, and two facts that do not go together. */
export interface FindingText {
  field: 'name' | 'server_url' | 'server_token' | 'stripe_url' | 'stripe_key';
  headline: string;
  next: string;
  /** The two facts side by side, where two facts disagree. */
  facts: [string, string] | null;
  /** What the choice to take it on is called, where there is one. */
  accept: string | null;
}

type Body = Omit<FindingText, 'accept'>;

function body(code: FindingCode, mode: Mode): Body {
  switch (code) {
    case 'name_missing':
      return {
        field: 'name',
        headline: 'The profile has no name.',
        next: 'Name it, such as “production”.',
        facts: null,
      };
    case 'name_taken':
      return {
        field: 'name',
        headline: 'Another profile has this name.',
        next: 'Choose another name.',
        facts: null,
      };
    case 'server_url_invalid':
      return {
        field: 'server_url',
        headline: 'That is not a web address.',
        next: 'Write it with its scheme, such as https://paywall.example.com.',
        facts: null,
      };
    case 'server_url_insecure':
      return {
        field: 'server_url',
        headline: 'This address is not encrypted.',
        next: 'Over plain http the token can be read on the way. Use https.',
        facts: ['The address begins with http://', 'The token would travel in the clear'],
      };
    case 'stripe_url_invalid':
      return {
        field: 'stripe_url',
        headline: 'That is not a web address.',
        next: 'Leave it empty for Stripe’s own address.',
        facts: null,
      };
    case 'live_key_in_test':
      return {
        field: 'stripe_key',
        headline: 'A live Stripe key in a profile that is not live.',
        next: 'Change the environment, or paste the key of the test account.',
        facts: [`The profile is ${modeWord(mode).toUpperCase()}`, 'The Stripe key is LIVE'],
      };
    case 'test_key_in_live':
      return {
        field: 'stripe_key',
        headline: 'A Stripe test key in a live profile.',
        next: 'Change the environment, or paste the live restricted key.',
        facts: [`The profile is ${modeWord(mode).toUpperCase()}`, 'The Stripe key is TEST'],
      };
    case 'full_secret_key':
      return {
        field: 'stripe_key',
        headline: 'This is a full secret key (sk_).',
        next: 'A restricted key (rk_) that may only read is enough, and does less harm when a laptop is lost.',
        facts: ['This key may change everything in Stripe', 'The console only ever reads from Stripe'],
      };
    case 'publishable_key':
      return {
        field: 'stripe_key',
        headline: 'This is a publishable key (pk_).',
        next: 'It cannot read anything. Paste a restricted key (rk_).',
        facts: null,
      };
    case 'stripe_key_unknown':
      return {
        field: 'stripe_key',
        headline: 'This does not look like a Stripe key.',
        next: 'Stripe’s keys begin with rk_live_ or rk_test_. Copy the whole key.',
        facts: null,
      };
    case 'token_malformed':
      return {
        field: 'server_token',
        headline: 'This does not look like a token of the paywall server.',
        next: 'Copy the whole token, as “paywall-server token create” printed it.',
        facts: null,
      };
    case 'token_missing':
      return {
        field: 'server_token',
        headline: 'There is no token.',
        next: 'Make one with “paywall-server token create --role support --name you” and paste it.',
        facts: null,
      };
    case 'secret_is_mask':
      return {
        field: 'server_token',
        headline: 'This is the mask of a secret, not the secret.',
        next: 'Leave the field empty to keep the stored one, or paste a new one.',
        facts: null,
      };
  }
}

/** A finding for a person. */
export function findingText(finding: Finding, mode: Mode): FindingText {
  return { ...body(finding.code, mode), accept: finding.acceptable ? 'Use it anyway' : null };
}

/** What was recognised of a typed Stripe key; empty where none was typed. */
export function keyDetected(check: ProfileCheck, mode: Mode): string {
  if (check.stripe_key_kind === null) return '';
  const KINDS = {
    restricted: 'restricted key',
    secret: 'full secret key',
    publishable: 'publishable key',
    unknown: 'key of an unknown kind',
  } as const;
  const kind = KINDS[check.stripe_key_kind];
  if (check.stripe_key_live === null) return `Detected: ${kind}`;
  const matches = check.stripe_key_live === (mode === 'live');
  const word = check.stripe_key_live ? 'LIVE' : 'TEST';
  return `Detected: ${word} ${kind}${matches ? `, matches this ${modeWord(mode).toLowerCase()} profile` : ''}`;
}
