import type { ServerHealth } from '../generated/contract';
import type { Timestamp } from '../generated/domain';
import { DAY } from './rules';

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** How the server is at `now`: well, unless `how` (`?health=`) says otherwise; `null` = it is too old to say. */
export function healthOf(how: string | null, sample: boolean, now: Timestamp): ServerHealth | null {
  if (how === 'old') return null;
  const replica = (id: string, seen: number, days: number, version = '1.0.0') => ({
    id,
    version,
    started_at: now - days * DAY,
    seen_at: now - seen,
  });
  const bare: ServerHealth = {
    version: '1.0.0',
    instance: 'db-1',
    database: 'sqlite',
    started_at: now - 2 * 3600 * SECOND,
    now,
    replicas: [replica('a1', 0, 0)],
    gate: { proxy: false, authz: false, ragflow_url: null },
    directory: { kind: 'none', last_success_at: null, compared_at: null, failure: null },
    metering: { waiting: 0, store_away: false },
  };
  if (sample) return bare;
  const well: ServerHealth = {
    ...bare,
    database: 'postgres',
    started_at: now - 6 * DAY,
    replicas: [replica('a1', 0, 6), replica('b2', 4 * SECOND, 6)],
    gate: { proxy: true, authz: false, ragflow_url: 'http://ragflow.internal:9380' },
    directory: {
      kind: 'database',
      last_success_at: now - 4 * SECOND,
      compared_at: now - 23 * MINUTE,
      failure: null,
    },
  };
  switch (how) {
    case 'failing':
      return {
        ...well,
        replicas: [...well.replicas, replica('c3', 50 * MINUTE, 2, '0.9.4')],
        directory: {
          ...well.directory,
          last_success_at: now - 12 * MINUTE,
          failure: {
            code: 'ragflow_database_away',
            since: now - 12 * MINUTE,
            remedy:
              "see that RAGFlow's database runs and can be reached from here, under the address and port in ragflow_database_url",
          },
        },
        metering: { waiting: 1204, store_away: true },
      };
    case 'gate-off':
      return { ...well, gate: { proxy: false, authz: false, ragflow_url: null } };
    case 'api':
      return {
        ...well,
        replicas: [replica('a1', 0, 6), replica('b2', 4 * SECOND, 6, '1.1.0')],
        gate: { ...well.gate, authz: true },
        directory: { kind: 'api', last_success_at: now - 9 * SECOND, compared_at: null, failure: null },
        metering: { waiting: 3, store_away: false },
      };
    default:
      return well;
  }
}
