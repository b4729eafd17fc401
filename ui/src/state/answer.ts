import type { SqlAnswer, SqlValue } from '../host/generated/ipc';
import type { Table } from '../parts/table';
import type { CsvCell } from '../text/csv';
import { HIDDEN, isHidden } from '../text/format';
import { blobWord } from '../text/sql';

/** A row of an answer by its place: nothing else tells two alike ones apart. */
export interface AnswerRow {
  index: number;
  values: SqlValue[];
}

/** A column of numbers against the first column. */
export interface Series {
  name: string;
  labels: string[];
  values: (number | null)[];
  /** Whether its points follow each other, as days do; else each stands by itself. */
  line: boolean;
}

/** Charts at most: more are not looked through. */
const MOST = 12;
/** Different words that a column may have to part one chart into several. */
const GROUPS = 6;

const NULL = 'NULL';

export function shown(value: SqlValue): string {
  if (value.is === 'null') return NULL;
  if (isHidden()) return HIDDEN;
  return value.is === 'blob' ? blobWord(value.value) : String(value.value);
}

function filed(value: SqlValue): CsvCell {
  if (value.is === 'null') return '';
  if (value.is === 'integer' || value.is === 'real') return { figure: String(value.value) };
  return value.is === 'blob' ? blobWord(value.value) : value.value;
}

/** Whether a column holds numbers, and nothing else but NULL. */
export function isNumeric({ rows }: SqlAnswer, column: number): boolean {
  let any = false;
  for (const row of rows) {
    const { is } = row[column] as SqlValue;
    if (is === 'integer' || is === 'real') any = true;
    else if (is !== 'null') return false;
  }
  return any;
}

/** An answer as a table, and as a file. */
export function tableOf(answer: SqlAnswer): Table<AnswerRow> {
  const columns = answer.columns.map((label, index) => {
    const longest = answer.rows.slice(0, 200).reduce((most, row) => {
      const text = shown(row[index] as SqlValue);
      return Math.max(most, text.length);
    }, label.length);
    return {
      key: String(index),
      label,
      number: isNumeric(answer, index),
      width: Math.min(22, Math.max(5, longest * 0.52 + 1.5)),
    };
  });
  return {
    columns,
    rows: answer.rows.map((values, index) => ({ index, values })),
    idOf: ({ index }) => String(index),
    cell: ({ values }, key) => {
      const value = values[Number(key)] as SqlValue;
      const text = shown(value);
      return { text, title: text.length > 24 ? text : null, file: filed(value) };
    },
  };
}

const FOLLOWING = /^\d{4}(-\d{2}){0,2}([ T]\d{2}:\d{2}(:\d{2})?)?$/;

/**
 * The columns of numbers against the first one. Where that repeats and the second column holds a few words, such as
 * currencies, each word has charts of its own.
 */
export function seriesOf(answer: SqlAnswer): Series[] {
  const { columns, rows } = answer;
  if (columns.length < 2 || rows.length === 0) return [];
  const numeric = columns.map((_, index) => index).filter((index) => index > 0 && isNumeric(answer, index));
  const words = (column: number) => new Set(rows.map((row) => shown(row[column] as SqlValue)));
  const parted =
    !numeric.includes(1) && columns.length > 2 && words(0).size < rows.length && words(1).size <= GROUPS;
  const groups = parted ? [...words(1)] : [null];
  const line = isNumeric(answer, 0) || rows.every((row) => FOLLOWING.test(shown(row[0] as SqlValue)));
  return numeric
    .flatMap((column) =>
      groups.map((group): Series => {
        const of = group === null ? rows : rows.filter((row) => shown(row[1] as SqlValue) === group);
        return {
          name: group === null ? (columns[column] as string) : `${columns[column]} · ${group}`,
          labels: of.map((row) => shown(row[0] as SqlValue)),
          values: of.map((row) => {
            const value = row[column] as SqlValue;
            return value.is === 'integer' || value.is === 'real' ? Number(value.value) : null;
          }),
          line,
        };
      }),
    )
    .slice(0, MOST);
}
