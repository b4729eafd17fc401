import type { StepName, StepState, TestStep } from '../host/generated/ipc';
import { codeText } from './failure';
import { quoted } from './format';

/** A step of the connection test for a person. */
export interface StepText {
  headline: string;
  next: string | null;
}

const UNDONE: Record<StepName, string> = {
  address: 'Find the address',
  connect: 'Connect',
  identity: 'Is it a paywall server?',
  version: 'Do the versions match?',
  token: 'Does it take the token?',
  role: 'What may the token do?',
  clock: 'Do the clocks agree?',
  stripe_key: 'Stripe key',
  stripe_mode: 'Live or test?',
  stripe_permission: 'May the key read?',
};

/** What a step asks. */
export const stepQuestion = (name: StepName): string => UNDONE[name];

function skew(subject: string): string {
  const ms = Number(subject);
  if (!Number.isFinite(ms)) return subject;
  const seconds = Math.abs(ms) / 1000;
  const shown = seconds < 10 ? seconds.toFixed(1) : String(Math.round(seconds));
  return `${ms < 0 ? '−' : '+'}${shown} s`;
}

function went(step: TestStep): string {
  const subject = quoted(step.subject);
  switch (step.name) {
    case 'address':
      return `Found ${subject}`;
    case 'connect':
      return `Connected to ${subject}`;
    case 'identity':
      return 'It is a paywall server';
    case 'version':
      return `Version ${subject}`;
    case 'token':
      return 'It takes the token';
    case 'role':
      return `The token’s role is ${subject}`;
    case 'clock':
      return `Clock ${skew(step.subject)} against the server’s`;
    case 'stripe_key':
      return `Stripe takes the key${step.subject ? ` (${subject})` : ''}`;
    case 'stripe_mode':
      return `The key is ${subject}`;
    case 'stripe_permission':
      return `The key may read ${subject}`;
  }
}

/** A step as it went, and what to do where it did not go well. */
export function stepText(step: TestStep): StepText {
  if (step.state === 'skipped') return { headline: `${UNDONE[step.name]} Skipped.`, next: null };
  if (step.failure) {
    const { headline, next } = codeText(step.failure);
    return { headline, next };
  }
  if (step.state === 'ok') return { headline: went(step), next: null };
  if (step.name === 'clock') {
    return {
      headline: went(step),
      next: 'Set this machine’s clock by the network: ages and ends shown here are off by that much.',
    };
  }
  return { headline: went(step), next: step.detail || null };
}

/** The mark and the word of a state: never colour alone. */
export const STEP_MARKS: Record<StepState, { mark: string; word: string }> = {
  ok: { mark: '✓', word: 'OK' },
  warning: { mark: '▲', word: 'Warning' },
  failed: { mark: '✖', word: 'Failed' },
  skipped: { mark: '–', word: 'Skipped' },
};
