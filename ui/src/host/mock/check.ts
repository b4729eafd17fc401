import type { ServerHealth } from '../generated/contract';
import type {
  ConnectionReport,
  Finding,
  ProfileCheck,
  ProfileDraft,
  ProfileView,
  TestStep,
} from '../generated/ipc';
import { pause } from './fail';

/** What is odd about a draft. */
export const findings = (draft: ProfileDraft, profiles: ProfileView[]): Finding[] => {
  const out: Finding[] = [];
  const add = (code: Finding['code'], acceptable = false) => {
    if (!draft.accepted.includes(code) || !acceptable) out.push({ code, acceptable });
  };
  if (draft.name.trim() === '') add('name_missing');
  else if (profiles.some((it) => it.id !== draft.id && it.name === draft.name.trim())) add('name_taken');
  if (!/^https?:\/\/[^\s/]+/.test(draft.server_url)) add('server_url_invalid');
  else if (/^http:\/\/(?!127\.|localhost)/.test(draft.server_url)) add('server_url_insecure', true);
  if (draft.stripe_url && !/^https?:\/\/[^\s/]+/.test(draft.stripe_url)) add('stripe_url_invalid');
  if (!draft.server_token && !profiles.some((it) => it.id === draft.id && it.server_token))
    add('token_missing');
  if (draft.server_token?.includes('…') || draft.stripe_key?.includes('…')) add('secret_is_mask');
  const key = draft.stripe_key ?? '';
  if (key) {
    if (key.startsWith('pk_')) add('publishable_key');
    else if (!/^[rs]k_(live|test)_/.test(key)) add('stripe_key_unknown');
    else {
      if (key.startsWith('sk_')) add('full_secret_key', true);
      if (key.includes('_live_') && draft.mode !== 'live') add('live_key_in_test', true);
      if (key.includes('_test_') && draft.mode === 'live') add('test_key_in_live', true);
    }
  }
  return out;
};

export const check = (draft: ProfileDraft, profiles: ProfileView[]): ProfileCheck => {
  const key = draft.stripe_key ?? '';
  return {
    findings: findings(draft, profiles),
    stripe_key_kind: key
      ? key.startsWith('rk_')
        ? 'restricted'
        : key.startsWith('sk_')
          ? 'secret'
          : key.startsWith('pk_')
            ? 'publishable'
            : 'unknown'
      : null,
    stripe_key_live: /^[rsp]k_live_/.test(key) ? true : /^[rsp]k_test_/.test(key) ? false : null,
  };
};

/** What may be shown of a secret. */
export const mask = (text: string) => `${/^[a-z]+_(?:live_|test_)?/.exec(text)?.[0] ?? ''}…${text.slice(-4)}`;

/** A connection test whose steps go as the draft's words say. */
export async function testSteps(
  draft: ProfileDraft,
  profiles: ProfileView[],
  offline: boolean,
  health: ServerHealth | null,
  onStep: (step: TestStep) => void,
): Promise<ConnectionReport> {
  const steps: TestStep[] = [];
  let broken = false;
  const step = async (given: Omit<TestStep, 'state' | 'failure' | 'detail'> & Partial<TestStep>) => {
    await pause(60);
    const made: TestStep = broken
      ? { ...given, state: 'skipped', failure: null, detail: '' }
      : { state: 'ok', failure: null, detail: '', ...given };
    if (made.state === 'failed') broken = true;
    steps.push(made);
    onStep(made);
  };
  const url = draft.server_url;
  const host = /^https?:\/\/([^/:]+)/.exec(url)?.[1] ?? url;
  const unknown = host.endsWith('.invalid');
  await step({
    name: 'address',
    subject: host,
    ...(unknown ? { state: 'failed' as const, failure: { code: 'address_unknown' as const, host } } : {}),
  });
  await step({
    name: 'connect',
    subject: host,
    ...(offline
      ? { state: 'failed' as const, failure: { code: 'unreachable' as const, source: 'server' as const } }
      : {}),
  });
  await step({
    name: 'identity',
    subject: host,
    ...(host.includes('google')
      ? { state: 'failed' as const, failure: { code: 'not_paywall_server' as const } }
      : {}),
  });
  await step({ name: 'version', subject: '1.0.0' });
  const token = draft.server_token ?? '';
  await step({
    name: 'token',
    subject: '',
    ...(token.includes('bad')
      ? { state: 'failed' as const, failure: { code: 'token_refused' as const }, detail: 'answered 401' }
      : {}),
  });
  await step({ name: 'role', subject: 'support' });
  await step({ name: 'clock', subject: '200' });
  const server_ok = !broken;
  broken = false;
  let stripe_ok: boolean | null = null;
  if (draft.stripe_key || profiles.find((it) => it.id === draft.id)?.stripe_key) {
    await step({ name: 'stripe_key', subject: 'restricted' });
    await step({ name: 'stripe_mode', subject: draft.mode === 'live' ? 'live' : 'test' });
    await step({ name: 'stripe_permission', subject: 'customers' });
    await step({ name: 'stripe_permission', subject: 'subscriptions' });
    const narrow = draft.stripe_key?.includes('narrow') ?? false;
    await step({
      name: 'stripe_permission',
      subject: 'invoices',
      ...(narrow
        ? {
            state: 'warning' as const,
            failure: {
              code: 'stripe_permission' as const,
              permission: 'rak_invoice_read',
              stream: 'invoices',
            },
          }
        : {}),
    });
    stripe_ok = !broken;
  }
  return { steps, server_ok, stripe_ok, health: server_ok ? health : null };
}
