import type { CsvCell } from '../text/csv';
import type { Definition } from '../text/definitions';

/** A column of a table of figures. */
export interface Column {
  key: string;
  label: string;
  definition?: Definition;
  number?: boolean;
  /** Its width in rem; the first column's stays in sight. */
  width?: number;
}

/** What stands in a cell. */
export interface Cell {
  text: string;
  /** Beneath it, quietly. */
  note?: string | null;
  title?: string | null;
  /** Opens what is behind the figure. */
  open?: (() => void) | null;
  /** What the button is for, where its text does not say it. */
  label?: string;
  /** How it stands in a file, where that is not its text. */
  file?: CsvCell;
  /** How much of it is left, as a tint between 0 and 1. */
  tint?: number | null;
}

/** A table of figures, as it is shown and as it is saved. */
export interface Table<R> {
  columns: Column[];
  rows: R[];
  idOf: (row: R) => string;
  cell: (row: R, key: string) => Cell;
}

/** All of a table for a file. */
export function fileOf<R>({ columns, rows, cell }: Table<R>): CsvCell[][] {
  return [
    columns.map(({ label }) => label),
    ...rows.map((row) =>
      columns.map(({ key }) => {
        const { file, text } = cell(row, key);
        return file ?? text;
      }),
    ),
  ];
}
