import type { DirectoryHealth, GateHealth, Replica, ServerHealth } from '../host/generated/contract';
import type { Timestamp } from '../host/generated/domain';
import { ago, clockTime, counted, quoted, span, type Reader } from './format';
import { listed } from './words';

/** One thing that the server says of itself. */
export interface HealthLine {
  label: string;
  text: string;
  /** What to do about it, or what it means; `null` = nothing. */
  next: string | null;
  warns: boolean;
}

/** Something about the server that needs somebody, in one line of the Overview. */
export interface ServerTrouble {
  kind: 'directory_failing' | 'gate_off';
  text: string;
}

/** A server that has said nothing for so long has missed several of its words, which come every five seconds. */
const SILENT_MS = 20_000;

/** For how long RAGFlow may not be read before that needs somebody: a restart takes less. */
const FAILING_MS = 5 * 60_000;

const DATABASES: Record<ServerHealth['database'], string> = { sqlite: 'SQLite', postgres: 'PostgreSQL' };

const FAILURES: Record<string, string> = {
  ragflow_setting: 'the address of its database cannot be used',
  ragflow_database_away: 'its database does not answer',
  ragflow_database_slow: 'its database takes too long to answer',
  ragflow_database_login: 'its database refuses the user or the password',
  ragflow_database_missing: 'there is no database of that name',
  ragflow_database_permission: 'its database does not let the paywall read all that it needs',
  ragflow_database_schema: 'its database does not look like RAGFlow’s',
  ragflow_unreadable: 'its answer cannot be read',
  ragflow_api_away: 'RAGFlow does not answer',
  ragflow_mass_deletion: 'more than half of all tenants are gone at once, so that none was closed',
  paywall_store: 'the paywall’s own database cannot be written',
};
/** Why RAGFlow is not read, inside a sentence. A code that is new here stands for itself. */
const because = (code: string): string => FAILURES[code] ?? code.replaceAll('_', ' ');

/** The server’s own words as a sentence. */
function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** A line that says what is. */
const line = (label: string, text: string, next: string | null = null): HealthLine => ({
  label,
  text,
  next,
  warns: false,
});
/** A line that says what is wrong. */
const warning = (label: string, text: string, next: string): HealthLine => ({
  label,
  text,
  next,
  warns: true,
});

function replicas(all: Replica[], at: Timestamp, reader: Reader): HealthLine {
  const silent = all.filter((it) => at - it.seen_at >= SILENT_MS);
  const running = all.filter((it) => at - it.seen_at < SILENT_MS);
  const versions = [...new Set(running.map((it) => it.version))];
  const parts = [`${running.length} running`];
  if (running.length > 1) {
    const oldest = Math.max(...running.map((it) => at - it.seen_at), 1000);
    parts.push(`each heard from in the last ${span(oldest)}`);
  }
  if (versions.length > 1) parts.push(`versions ${listed(versions.map(quoted))}`);
  // It may have been replaced long since, so that alone is no reason to warn.
  if (silent.length > 0) {
    const last = Math.max(...silent.map((it) => it.seen_at));
    parts.push(`${silent.length} silent since ${clockTime(last, reader)}`);
  }
  const why =
    'What is silent crashed, was killed, or cannot write to the database. It is forgotten after a day.';
  return line('Replicas', parts.join(' · '), silent.length > 0 ? why : null);
}

function directory(it: DirectoryHealth, reader: Reader & { now: Timestamp }): HealthLine {
  const label = 'RAGFlow';
  if (it.kind === 'none') return line(label, 'Not connected to RAGFlow');
  if (it.failure) {
    const what = it.kind === 'database' ? 'Tenants not read' : 'Not reached';
    const since = `${what} since ${clockTime(it.failure.since, reader)}`;
    return warning(label, `${since}: ${because(it.failure.code)}`, sentence(it.failure.remedy));
  }
  const read = it.last_success_at;
  if (it.kind === 'api') {
    const answered = read === null ? 'not asked yet' : `last answered ${ago(read, reader.now)}`;
    return line(label, `Asked about each caller · ${answered}`, 'Tenants appear with their first request.');
  }
  if (read === null) return line(label, 'RAGFlow’s tenants are being read for the first time');
  const compared = it.compared_at === null ? '' : ` · all compared ${ago(it.compared_at, reader.now)}`;
  return line(label, `RAGFlow’s tenants read ${ago(read, reader.now)}${compared}`);
}

/** Whether a server knows of a RAGFlow at all. */
const connected = (health: ServerHealth): boolean =>
  health.directory.kind !== 'none' || health.gate.ragflow_url !== null;
const isOff = (gate: GateHealth): boolean => !gate.proxy && !gate.authz;

function gate(health: ServerHealth): HealthLine {
  const { proxy, authz, ragflow_url } = health.gate;
  const label = 'Gate';
  if (isOff(health.gate)) {
    return connected(health)
      ? warning(
          label,
          'Off: requests to RAGFlow are not checked, counted or limited',
          'Set ragflow_url on the server to let requests through it, or trusted_proxies for a front that asks it.',
        )
      : line(label, 'Off, as there is no RAGFlow to guard');
  }
  if (!proxy) return line(label, 'On: a front asks about each request (authz)');
  const to = ragflow_url === null ? '' : ` to ${quoted(ragflow_url)}`;
  return line(label, `On: requests go through${to}${authz ? '; fronts may ask too (authz)' : ''}`);
}

function counting({ waiting, store_away }: ServerHealth['metering']): HealthLine | null {
  if (waiting === 0 && !store_away) return null;
  const events = `${counted(waiting, 'event')} not counted yet`;
  if (!store_away) return line('Usage', `${events}, being written`);
  return warning(
    'Usage',
    `${events}: the server cannot write to its database`,
    'They are kept in memory and written as soon as it can. See that the database runs and its disk has room.',
  );
}

/** How the server is, line by line; `reader.now` is the present, by which ages go on. */
export function healthLines(health: ServerHealth, reader: Reader & { now: Timestamp }): HealthLine[] {
  const { version, database, started_at, now, replicas: all, metering } = health;
  const runs = `${quoted(version)} on ${DATABASES[database]}, started ${ago(started_at, reader.now)}`;
  const lines = [line('Version', runs)];
  // On its own file a server is alone: that needs no line.
  if (all.length > 1 || database === 'postgres') lines.push(replicas(all, now, reader));
  lines.push(directory(health.directory, reader), gate(health));
  const usage = counting(metering);
  return usage ? [...lines, usage] : lines;
}

/** What about the server needs somebody, with so many tenants in the copy. `null` = nothing is known of it. */
export function serverTroubles(health: ServerHealth | null, tenants: number): ServerTrouble[] {
  if (!health) return [];
  const troubles: ServerTrouble[] = [];
  const { failure, kind } = health.directory;
  // By the server’s own clock and word: how long it lasts while nobody asks is not known.
  const lasts = failure ? health.now - failure.since : 0;
  if (failure && lasts > FAILING_MS) {
    const what = kind === 'database' ? 'RAGFlow’s tenants not read' : 'RAGFlow not reached';
    troubles.push({
      kind: 'directory_failing',
      text: `${what} for ${span(lasts)} — ${because(failure.code)}`,
    });
  }
  if (tenants > 0 && connected(health) && isOff(health.gate)) {
    troubles.push({
      kind: 'gate_off',
      text: 'The gate is off — requests to RAGFlow are not checked or counted',
    });
  }
  return troubles;
}
