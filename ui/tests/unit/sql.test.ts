import { render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { SqlAnswer, SqlValue } from '../../src/host/generated/ipc';
import { fileOf } from '../../src/parts/table';
import Sql from '../../src/screens/Sql/Sql.svelte';
import { seriesOf, tableOf } from '../../src/state/answer';
import { privacy } from '../../src/state/privacy.svelte';
import { forgetQuestions } from '../../src/state/questions.svelte';
import { csvText } from '../../src/text/csv';
import { answerLine, markText } from '../../src/text/sql';
import { plain } from './given';
import { open } from './page';

const text = (value: string): SqlValue => ({ is: 'text', value });
const whole = (value: string): SqlValue => ({ is: 'integer', value });
const real = (value: number): SqlValue => ({ is: 'real', value });
const none: SqlValue = { is: 'null' };
const answer = (columns: string[], rows: SqlValue[][]): SqlAnswer => ({
  columns,
  rows,
  more: false,
  took_ms: 3,
});

beforeEach(() => forgetQuestions());
afterEach(() => {
  privacy.on = false;
});

describe('an answer', () => {
  const mixed = answer(
    ['n', 'n', 'name'],
    [
      [whole('9223372036854775807'), real(-0.25), text('=1+1')],
      [none, none, { is: 'blob', value: 3 }],
    ],
  );

  it('shows numbers exactly, and NULL and bytes as what they are', () => {
    const table = tableOf(mixed);
    const shown = table.rows.map((row) => table.columns.map(({ key }) => plain(table.cell(row, key).text)));
    expect(shown).toEqual([
      ['9223372036854775807', '-0.25', '=1+1'],
      ['NULL', 'NULL', '(3 bytes)'],
    ]);
    expect(table.columns.map((it) => [it.label, it.number])).toEqual([
      ['n', true],
      ['n', true],
      ['name', false],
    ]);
  });

  it('goes into a file with figures as figures, and texts as nothing that a program would run', () => {
    expect(plain(csvText(fileOf(tableOf(mixed))))).toBe(
      "n,n,name\r\n9223372036854775807,-0.25,'=1+1\r\n,,(3 bytes)\r\n",
    );
  });

  it('shows nothing while amounts and names are hidden', () => {
    privacy.on = true;
    const table = tableOf(mixed);
    const shown = JSON.stringify(
      table.rows.map((row) => table.columns.map((it) => table.cell(row, it.key).text)),
    );
    expect(shown).not.toMatch(/922|0\.25|1\+1/);
  });

  it('says where there is more of it', () => {
    expect(plain(answerLine(10_000, true, 12))).toBe('10,000 rows shown, there are more · 12 ms');
    expect(plain(answerLine(1, false, 2_340))).toBe('1 row · 2.3 s');
  });
});

describe('a chart', () => {
  it('draws each column of numbers against the first, and leaves out the others', () => {
    const series = seriesOf(
      answer(
        ['day', 'who', 'messages', 'tokens'],
        [
          [text('2026-01-01'), text('a'), whole('3'), none],
          [text('2026-01-02'), text('b'), whole('5'), real(1.5)],
        ],
      ),
    );
    expect(series).toEqual([
      { name: 'messages', labels: ['2026-01-01', '2026-01-02'], values: [3, 5], line: true },
      { name: 'tokens', labels: ['2026-01-01', '2026-01-02'], values: [null, 1.5], line: true },
    ]);
  });

  it('of several currencies never joins one to another', () => {
    const row = (month: string, currency: string, mrr: number) => [text(month), text(currency), real(mrr)];
    const series = seriesOf(
      answer(
        ['month', 'currency', 'mrr'],
        [
          row('2026-01', 'eur', 1),
          row('2026-01', 'jpy', 100),
          row('2026-02', 'eur', 2),
          row('2026-02', 'jpy', 90),
        ],
      ),
    );
    expect(series.map(({ name, values }) => [name, values])).toEqual([
      ['mrr · eur', [1, 2]],
      ['mrr · jpy', [100, 90]],
    ]);
  });

  it('names its days so shortly that they stand beside each other', () => {
    const marks = ['2026-01-30', '2026-01-31', '2026-02', 'a long word indeed'];
    expect(marks.map((it, index) => markText(it, index === 0))).toEqual([
      '2026-01-30',
      '01-31',
      '2026-02',
      'a long wo…',
    ]);
  });

  it('of words stands in columns, and of no numbers there is none', () => {
    const words = answer(['status', 'count(*)'], [[text('trial'), whole('2')]]);
    expect(seriesOf(words)[0]?.line).toBe(false);
    expect(seriesOf(answer(['a', 'b'], [[whole('1'), text('x')]]))).toEqual([]);
    expect(seriesOf(answer(['a'], [[whole('1')]]))).toEqual([]);
  });
});

describe('the page', () => {
  const editor = async () => (await screen.findByTestId('sql-text')) as HTMLTextAreaElement;
  async function ask(question: string) {
    const field = await editor();
    await userEvent.clear(field);
    await userEvent.click(field);
    await userEvent.paste(question);
    await userEvent.keyboard('{Control>}{Enter}{/Control}');
  }

  it('puts a column where the cursor is', async () => {
    await open();
    render(Sql);
    const field = await editor();
    await userEvent.clear(field);
    await userEvent.click(field);
    await userEvent.paste('SELECT FROM tenants');
    field.setSelectionRange(6, 6);
    await userEvent.click(await screen.findByTestId('sql-column-tenants-name'));
    await waitFor(() => expect(field.value).toBe('SELECT name FROM tenants'));
  });

  it('tells what was refused, what failed and what took too long apart, and shows no older answer beside it', async () => {
    let failure: object | null = null;
    await open((world) => ({
      sqlRun: (id, asked) =>
        failure
          ? Promise.reject({ ...failure, detail: '', request_id: null, at: 0 })
          : world.sqlRun(id, asked),
    }));
    render(Sql);
    await ask('SELECT name FROM tenants LIMIT 2');
    await screen.findByTestId('sql-answer');
    for (const [given, words] of [
      [{ code: 'sql_refused', reason: 'not_a_question' }, /./],
      [{ code: 'sql_failed', message: 'no such table: x' }, /no such table: x/],
      [{ code: 'sql_timed_out', seconds: 10 }, /longer than 10 seconds/],
    ] as const) {
      failure = given;
      await ask('SELECT 1');
      await waitFor(() => expect(plain(screen.getByTestId('sql-failure').textContent ?? '')).toMatch(words));
      expect(screen.queryByTestId('sql-answer')).toBeNull();
    }
    failure = { code: 'cancelled' };
    await ask('SELECT 1');
    await screen.findByTestId('sql-stopped');
    expect(screen.queryByTestId('sql-failure')).toBeNull();
  });

  it('says so where no row is like that', async () => {
    await open();
    render(Sql);
    await ask("SELECT name FROM tenants WHERE plan = 'nowhere'");
    expect(await screen.findByText('No rows.')).toBeTruthy();
  });

  it('stops what runs by its own id', async () => {
    const cancelled: number[] = [];
    const asked: number[] = [];
    await open((world) => ({
      sqlRun: (id, question) => {
        asked.push(id);
        return world.sqlRun(id, question);
      },
      sqlCancel: (id) => {
        cancelled.push(id);
        return world.sqlCancel(id);
      },
    }));
    render(Sql);
    await ask('WITH RECURSIVE n (i) AS (VALUES (1)) SELECT i FROM n');
    await userEvent.click(await screen.findByTestId('sql-stop'));
    await screen.findByTestId('sql-stopped');
    expect(cancelled).toEqual(asked);
  });
});
