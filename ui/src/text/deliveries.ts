import type { DeliveryDay } from '../host/generated/contract';
import type { Timestamp } from '../host/generated/domain';
import { counted, dateOf, number, type Reader } from './format';

/** What became of one day’s events, so that the parts add up to the whole. */
export interface DayParts {
  processed: number;
  waiting: number;
  parked: number;
  failed: number;
  /** The height of the bar: what arrived, or more where older events were dealt with on that day. */
  all: number;
}

/** A day’s events by what became of them. */
export function dayParts({ received, processed, parked, failed }: DeliveryDay): DayParts {
  const waiting = Math.max(0, received - processed - parked - failed);
  return { processed, waiting, parked, failed, all: processed + waiting + parked + failed };
}

/** A day in words: `12 Nov: 42 arrived, 1 failed, 3 repeated`. The running one is not over. */
export function dayText(day: DeliveryDay, today: boolean, reader: Reader = {}): string {
  const parts = dayParts(day);
  const said = [`${number(day.received)} arrived`];
  if (parts.waiting > 0) said.push(`${number(parts.waiting)} waiting`);
  if (parts.parked > 0) said.push(`${number(parts.parked)} parked`);
  if (parts.failed > 0) said.push(`${number(parts.failed)} failed`);
  if (day.repeated > 0) said.push(`${number(day.repeated)} sent again`);
  return `${dateOf(day.day, reader)}${today ? ', to date' : ''}: ${said.join(', ')}`;
}

/** All days in a sentence. */
export function deliveriesText(days: DeliveryDay[], reader: Reader = {}): string {
  const sum = (of: (day: DeliveryDay) => number) => days.reduce((all, day) => all + of(day), 0);
  const received = sum((day) => day.received);
  if (received === 0) return 'No event of Stripe’s arrived in these days.';
  const busiest = days.reduce((most, day) => (day.received > most.received ? day : most));
  const failed = sum((day) => day.failed);
  const parked = sum((day) => day.parked);
  const rest =
    failed + parked === 0
      ? 'None failed or is parked.'
      : `${number(failed)} failed, ${number(parked)} parked.`;
  return `${counted(received, 'event')} in ${counted(days.length, 'day')}, ${number(busiest.received)} on the busiest (${dateOf(busiest.day, reader)}). ${rest}`;
}

/** Whether a day is the running one. */
export const isToday = ({ day }: DeliveryDay, now: Timestamp): boolean => now - day < 86_400_000;
