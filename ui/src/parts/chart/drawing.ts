import type uPlot from 'uplot';

import type { MovementKind } from '../../text/revenue';

/** The colours of a chart, from the theme that is on. */
export interface Ink {
  text: string;
  quiet: string;
  grid: string;
  zero: string;
  surface: string;
  line: string;
  font: string;
  move: Record<MovementKind, string>;
}

export function inkOf(element: HTMLElement): Ink {
  const style = getComputedStyle(element);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return {
    text: of('--text-1'),
    quiet: of('--text-2'),
    grid: of('--border'),
    zero: of('--border-control'),
    surface: of('--surface'),
    line: of('--accent'),
    font: `12px ${style.fontFamily}`,
    move: {
      new: of('--move-new'),
      expansion: of('--move-expansion'),
      reactivation: of('--move-reactivation'),
      contraction: of('--move-contraction'),
      churn: of('--move-churn'),
    },
  };
}

/** A point of a line; `null` = not known, and nothing is drawn across it. */
export interface LinePoint {
  value: number | null;
  finished: boolean;
  estimated: boolean;
}

/** A bar of parts, those above zero and those below. */
export interface BarPoint {
  parts: Record<MovementKind, number> | null;
  finished: boolean;
  estimated: boolean;
}

const UP: MovementKind[] = ['new', 'expansion', 'reactivation'];
const DOWN: MovementKind[] = ['contraction', 'churn'];

export const heightUp = ({ parts }: BarPoint): number | null =>
  parts && UP.reduce((sum, kind) => sum + parts[kind], 0);
export const heightDown = ({ parts }: BarPoint): number | null =>
  parts && DOWN.reduce((sum, kind) => sum + parts[kind], 0);

const xOf = (plot: uPlot, index: number): number => plot.valToPos(index, 'x', true);
const yOf = (plot: uPlot, value: number): number => plot.valToPos(value, 'y', true);

/** Hatches the periods that are rebuilt rather than seen, and says so. */
export function drawEstimated(plot: uPlot, points: { estimated: boolean }[], ink: Ink, ratio: number): void {
  const until = points.findLastIndex((point) => point.estimated);
  if (until < 0) return;
  const { ctx, bbox } = plot;
  const half = (xOf(plot, 1) - xOf(plot, 0)) / 2 || bbox.width / 2;
  const right = Math.min(bbox.left + bbox.width, xOf(plot, until) + half);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, right - bbox.left, bbox.height);
  ctx.clip();
  ctx.strokeStyle = ink.grid;
  ctx.lineWidth = ratio;
  ctx.beginPath();
  for (let x = bbox.left - bbox.height; x < right; x += 8 * ratio) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
  ctx.font = ink.font.replace('12px', `${12 * ratio}px`);
  ctx.textBaseline = 'top';
  ctx.textAlign = 'left';
  const width = ctx.measureText('estimated').width;
  if (right - bbox.left > width + 16 * ratio) {
    ctx.fillStyle = ink.surface;
    ctx.fillRect(bbox.left + 2 * ratio, bbox.top, width + 10 * ratio, 18 * ratio);
    ctx.fillStyle = ink.quiet;
    ctx.fillText('estimated', bbox.left + 6 * ratio, bbox.top + 3 * ratio);
  }
  ctx.restore();
}

/** A line of straight pieces: what runs is dashed to a hollow point, and a gap is a gap. */
export function drawLine(
  plot: uPlot,
  points: LinePoint[],
  ink: Ink,
  ratio: number,
  last: string | null,
): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = ink.line;
  ctx.fillStyle = ink.line;
  ctx.lineWidth = 2 * ratio;
  ctx.lineJoin = 'round';
  points.forEach(({ value, finished }, index) => {
    if (value === null) return;
    const before = points[index - 1];
    if (!before || before.value === null) return;
    ctx.setLineDash(finished ? [] : [5 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(xOf(plot, index - 1), yOf(plot, before.value));
    ctx.lineTo(xOf(plot, index), yOf(plot, value));
    ctx.stroke();
  });
  ctx.setLineDash([]);
  const dots = points.length <= 40;
  points.forEach(({ value, finished }, index) => {
    const alone = points[index - 1]?.value == null && points[index + 1]?.value == null;
    if (value === null || !(dots || !finished || alone)) return;
    ctx.beginPath();
    ctx.arc(xOf(plot, index), yOf(plot, value), (finished ? 3 : 4.5) * ratio, 0, Math.PI * 2);
    ctx.fillStyle = finished ? ink.line : ink.surface;
    ctx.fill();
    if (!finished) ctx.stroke();
  });
  const end = points.findLastIndex(({ value }) => value !== null);
  const value = points[end]?.value;
  if (last !== null && value != null) {
    ctx.font = ink.font.replace('12px', `600 ${12 * ratio}px`);
    ctx.textAlign = 'right';
    ctx.textBaseline = 'bottom';
    const x = Math.min(xOf(plot, end), bbox.left + bbox.width) + 8 * ratio;
    const y = yOf(plot, value) - 9 * ratio;
    const width = ctx.measureText(last).width;
    ctx.fillStyle = ink.surface;
    ctx.fillRect(x - width - 3 * ratio, y - 15 * ratio, width + 6 * ratio, 17 * ratio);
    ctx.fillStyle = ink.text;
    ctx.fillText(last, x, y);
  }
  ctx.restore();
}

/** Parts stacked away from zero, each parted from the next; what runs is only outlined. */
export function drawBars(plot: uPlot, points: BarPoint[], ink: Ink, ratio: number): void {
  const { ctx, bbox } = plot;
  const step = points.length > 1 ? xOf(plot, 1) - xOf(plot, 0) : bbox.width / 3;
  const width = Math.max(ratio, Math.min(48 * ratio, step * 0.62));
  ctx.save();
  points.forEach(({ parts, finished }, index) => {
    if (!parts) return;
    const left = Math.round(xOf(plot, index) - width / 2);
    for (const side of [UP, DOWN]) {
      let from = 0;
      for (const kind of side) {
        const to = from + parts[kind];
        if (parts[kind] === 0) continue;
        const [a, b] = [Math.round(yOf(plot, from)), Math.round(yOf(plot, to))];
        const top = Math.min(a, b);
        const high = Math.max(1, Math.abs(a - b) - (width > 4 * ratio ? ratio : 0));
        ctx.fillStyle = ink.move[kind];
        ctx.strokeStyle = ink.move[kind];
        if (finished) ctx.fillRect(left, top, Math.round(width), high);
        else {
          ctx.globalAlpha = 0.28;
          ctx.fillRect(left, top, Math.round(width), high);
          ctx.globalAlpha = 1;
          ctx.lineWidth = 1.5 * ratio;
          ctx.setLineDash([4 * ratio, 3 * ratio]);
          ctx.strokeRect(
            left + ratio,
            top + ratio,
            Math.round(width) - 2 * ratio,
            Math.max(1, high - 2 * ratio),
          );
          ctx.setLineDash([]);
        }
        from = to;
      }
    }
  });
  ctx.strokeStyle = ink.zero;
  ctx.lineWidth = ratio;
  ctx.beginPath();
  const zero = Math.round(yOf(plot, 0)) + 0.5;
  ctx.moveTo(bbox.left, zero);
  ctx.lineTo(bbox.left + bbox.width, zero);
  ctx.stroke();
  ctx.restore();
}
