import type { Change, Timestamp } from '../generated/domain';
import { DAY } from './rules';
import { ACTOR } from './state';

interface Past {
  name: string;
  /** How long ago, in milliseconds. */
  back: number;
  change: Change;
  reason: string;
  actor: string;
  ticket: string | null;
}

/** A little history, so that Activity has something to show and to refuse. */
export const history = (started: Timestamp): Past[] => [
  {
    name: 'Acmeworks',
    back: 9 * DAY,
    change: { kind: 'extend_trial', target: { days: 7 } },
    reason: 'Evaluation delayed',
    actor: 'tom',
    ticket: 'https://tickets.example.com/4412',
  },
  {
    name: 'Acme GmbH',
    back: 4 * DAY,
    change: { kind: 'note' },
    reason: 'CTO is back on the 20th',
    actor: ACTOR,
    ticket: null,
  },
  {
    name: 'Two Currencies SA',
    back: 3 * DAY,
    change: { kind: 'override_quota', meter: 'documents', limit: 800, expires_at: null },
    reason: 'Goodwill',
    actor: ACTOR,
    ticket: null,
  },
  {
    name: 'Gesellschaft für außerordentlich ausführliche Dokumentenverarbeitung und Wissensmanagement mbH & Co. KG',
    back: 2 * DAY,
    change: { kind: 'override_quota', meter: 'storage_bytes', limit: 20_000_000_000, expires_at: null },
    reason:
      'Customer asked: the archive of 2019 to 2024 has to be read in before the auditors come in spring',
    actor: 'bartholomew.featherstonehaugh@support.example',
    ticket: null,
  },
  {
    name: 'Two Currencies SA',
    back: DAY,
    change: { kind: 'override_quota', meter: 'documents', limit: 1000, expires_at: null },
    reason: 'Sales',
    actor: 'tom',
    ticket: null,
  },
  {
    name: 'Contoso',
    back: 3 * 3_600_000,
    change: { kind: 'override_quota', meter: 'messages', limit: 1200, expires_at: started + 20 * DAY },
    reason: 'Customer asked',
    actor: ACTOR,
    ticket: null,
  },
];
