import type { Change } from '../host/generated/domain';

/** The name of each kind of change. */
export const CHANGE_NAMES: Record<Change['kind'], string> = {
  extend_trial: 'Extend trial',
  end_trial: 'End trial',
  override_quota: 'Change limit',
  remove_override: 'Remove override',
  comp: 'Comp plan',
  suspend: 'Suspend',
  reinstate: 'Reinstate',
  change_plan: 'Change plan',
  note: 'Note',
  repair_billing: 'Repair billing',
};
