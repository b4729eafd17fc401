import type uPlot from 'uplot';

import type { Ink } from '../../parts/chart/drawing';

/** Columns from zero, one per value; what is not known has none. */
export function drawColumns(plot: uPlot, values: (number | null)[], ink: Ink, ratio: number): void {
  const { ctx, bbox } = plot;
  const x = (index: number) => plot.valToPos(index, 'x', true);
  const y = (value: number) => plot.valToPos(value, 'y', true);
  const step = values.length > 1 ? x(1) - x(0) : bbox.width / 3;
  const width = Math.max(ratio, Math.min(48 * ratio, step * 0.62));
  const zero = Math.round(y(0));
  ctx.save();
  ctx.fillStyle = ink.line;
  values.forEach((value, index) => {
    if (value === null || value === 0) return;
    const end = Math.round(y(value));
    ctx.fillRect(
      Math.round(x(index) - width / 2),
      Math.min(zero, end),
      Math.round(width),
      Math.max(1, Math.abs(end - zero)),
    );
  });
  ctx.strokeStyle = ink.zero;
  ctx.lineWidth = ratio;
  ctx.beginPath();
  ctx.moveTo(bbox.left, zero + 0.5);
  ctx.lineTo(bbox.left + bbox.width, zero + 0.5);
  ctx.stroke();
  ctx.restore();
}
