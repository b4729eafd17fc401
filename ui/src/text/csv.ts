/** A cell of a file: text as somebody wrote it, or a figure as we did. */
export type CsvCell = string | { figure: string };

/** A program for tables takes a text that begins so for a formula, whoever wrote it. */
const FORMULA = /^[=+\-@\t\r]/;

function field(cell: CsvCell): string {
  const text = typeof cell === 'string' ? (FORMULA.test(cell) ? `'${cell}` : cell) : cell.figure;
  return /[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A table as comma-separated values (RFC 4180). */
export function csvText(rows: CsvCell[][]): string {
  return rows.map((row) => `${row.map(field).join(',')}\r\n`).join('');
}

/** A name for a file, of letters that every system takes. */
export function fileName(...words: string[]): string {
  return `${words
    .join('-')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')}.csv`;
}
