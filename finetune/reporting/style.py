"""The look of the page: one column, the system's own fonts, few colours; on paper as well."""

from __future__ import annotations

from finetune.reporting.colours import BLUE, INK, LINE, MUTED, VERMILION

STYLE = f"""
:root {{ --ink: {INK}; --muted: {MUTED}; --line: {LINE}; --blue: {BLUE}; --warn: {VERMILION}; }}
* {{ box-sizing: border-box; }}
html {{ font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial,
  sans-serif; color: var(--ink); background: #fff; -webkit-text-size-adjust: 100%;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }}
body {{ margin: 0; }}
main {{ max-width: 1160px; margin: 0 auto; padding: 40px 32px 64px; }}
p, ul, ol, dl, figure, h1, h2, h3 {{ margin: 0; padding: 0; }}
dd, .image-name, h1, .problem, .reading, .notes li, .definitions li {{ overflow-wrap: anywhere; }}
section {{ margin-top: 56px; }}
h1 {{ font-size: 32px; line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; }}
h2 {{ font-size: 22px; line-height: 1.3; font-weight: 650; letter-spacing: -0.01em;
  border-top: 2px solid var(--ink); padding-top: 12px; margin-bottom: 16px; }}
h3 {{ font-size: 15px; font-weight: 650; margin: 24px 0 10px; }}
.eyebrow {{ color: var(--blue); font-weight: 600; font-size: 13px; margin-bottom: 4px; }}
.reading, .legend, figcaption, caption, .problem {{ font-size: 13px; color: var(--muted); }}

.stamp {{ margin-top: 18px; padding: 12px 16px; background: var(--ink); color: #fff;
  font-weight: 600; font-size: 17px; border-radius: 4px; }}
.notes {{ list-style: none; margin-top: 16px; }}
.notes li {{ padding: 7px 12px; border-left: 4px solid var(--line); margin-top: 6px;
  background: #f5f7f9; font-size: 14px; }}
.notes .warning {{ border-color: var(--warn); background: #fdf0e6; color: #7a3000;
  font-weight: 600; }}
.facts {{ display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 14px 24px;
  margin-top: 24px; }}
dt {{ font-size: 12px; color: var(--muted); }}
.facts dd {{ margin: 0; font-size: 14px; font-weight: 550; line-height: 1.35; }}

.tiles {{ display: flex; flex-wrap: wrap; gap: 16px; margin-top: 28px; }}
.tile {{ flex: 1 1 200px; max-width: 360px; border: 1px solid var(--line);
  border-top: 4px solid var(--blue); border-radius: 4px; padding: 14px 18px 16px; }}
.tile-title {{ font-size: 14px; font-weight: 600; color: var(--muted); }}
.tile-value {{ font-size: 40px; line-height: 1.15; font-weight: 650; letter-spacing: -0.02em;
  font-variant-numeric: tabular-nums; }}
.tile-interval {{ font-size: 15px; color: var(--muted); font-variant-numeric: tabular-nums; }}
.tile-change {{ font-size: 13px; margin-top: 6px; padding-top: 6px;
  border-top: 1px solid var(--line); }}
nav {{ display: flex; flex-wrap: wrap; gap: 4px 20px; margin-top: 24px; font-size: 14px; }}
nav a {{ color: var(--blue); text-decoration: none; }}
nav a:hover {{ text-decoration: underline; }}

table {{ border-collapse: collapse; width: 100%; font-size: 14px; line-height: 1.35;
  font-variant-numeric: tabular-nums; margin-top: 20px; }}
caption {{ text-align: left; padding-bottom: 6px; }}
th, td {{ padding: 5px 0 5px 14px; border-bottom: 1px solid var(--line); font-weight: 400;
  text-align: right; vertical-align: middle; }}
thead th {{ color: var(--muted); font-size: 12.5px; vertical-align: bottom; }}
.narrow {{ max-width: 760px; }}
.name {{ text-align: left; padding-left: 0; }}
tbody .name {{ font-weight: 550; }}
.number {{ white-space: nowrap; }}
.interval {{ color: var(--muted); }}
.better {{ color: #005a8d; font-weight: 650; }}
.worse {{ color: var(--warn); font-weight: 650; }}
.better .interval, .worse .interval {{ color: inherit; font-weight: 400; }}
.beside {{ display: grid; grid-template-columns: minmax(0, 1fr) 300px; gap: 0 48px;
  align-items: start; }}

.chart {{ width: 26%; min-width: 110px; text-align: left; padding: 0 8px 0 22px; }}
thead .chart {{ padding-bottom: 5px; }}
.ticks {{ display: flex; justify-content: space-between; }}
.ticks span {{ width: 0; display: flex; justify-content: center; white-space: nowrap; }}
.row-chart {{ display: block; width: 100%; height: 30px; overflow: visible; }}
.row-chart .grid {{ stroke: var(--line); }}
.row-chart .zero {{ stroke: #9aa7b3; }}
.row-chart .range {{ stroke: #7fb8d9; stroke-width: 5; }}
.row-chart .value {{ fill: var(--blue); }}

.confusion {{ table-layout: fixed; border-collapse: separate; border-spacing: 2px; }}
.confusion th, .confusion td {{ border: 0; padding: 4px 2px; }}
.confusion .name {{ width: 88px; font-size: 13px; }}
.confusion .guess, .confusion .over {{ text-align: center; }}
.confusion .guess {{ font-size: 11.5px; color: var(--ink); }}
.confusion .number {{ width: 56px; color: var(--muted); }}
.cell {{ text-align: center !important; height: 46px; line-height: 1.2; }}
.cell .share {{ display: block; font-size: 11px; }}
.cell.dark {{ color: #fff; }}
.cell.none, .cell.empty {{ color: #8b98a5; background: #fafbfc; }}
.together {{ white-space: nowrap; }}
.scale {{ display: inline-block; width: 88px; height: 10px; margin: 0 6px; vertical-align: baseline;
  border-radius: 2px; }}

.figures {{ display: grid; grid-template-columns: repeat(2, minmax(0, 480px)); gap: 32px 56px; }}
figure svg {{ display: block; width: 100%; height: auto; margin-top: 6px; }}
figure text {{ font-size: 13px; fill: var(--muted); }}
figcaption strong {{ color: var(--ink); font-size: 15px; margin-right: 4px; }}
.border {{ fill: none; stroke: #9aa7b3; }}
.axis {{ stroke: #9aa7b3; }}
figure .zero {{ stroke: var(--line); }}
.truth {{ stroke: {VERMILION}; stroke-width: 1.3; stroke-dasharray: 5 4; }}
.circle {{ fill: none; stroke: #9aa7b3; stroke-dasharray: 3 3; }}
.shift {{ stroke: var(--ink); stroke-width: 1.4; }}
.start {{ fill: #9aa7b3; }}
.head {{ fill: var(--ink); }}
figure image {{ image-rendering: pixelated; }}
.legend {{ display: flex; align-items: center; justify-content: center; margin-top: 2px;
  text-align: center; }}

.gallery {{ list-style: none; display: grid; gap: 18px 14px;
  grid-template-columns: repeat(6, minmax(0, 1fr)); }}
.gallery li {{ min-width: 0; font-size: 13px; line-height: 1.35; }}
.face {{ display: block; width: 112px; height: 112px; object-fit: contain; background: #f5f7f9;
  border-radius: 4px; margin-bottom: 6px; }}
.absent {{ display: flex; align-items: center; justify-content: center; text-align: center;
  border: 1px dashed #9aa7b3; color: var(--muted); font-size: 12px; padding: 4px;
  overflow: hidden; overflow-wrap: anywhere; }}
.target, .said strong {{ white-space: nowrap; }}
.to {{ color: var(--muted); }}
.size, .image-name {{ color: var(--muted); font-size: 12px; }}
.definitions {{ padding-left: 18px; max-width: 82ch; }}
.definitions li {{ margin-top: 6px; }}
.origins div {{ display: grid; grid-template-columns: 110px minmax(0, 1fr); gap: 12px;
  padding: 5px 0; border-bottom: 1px solid var(--line); }}
.origins dd {{ margin: 0; font: 12.5px/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono",
  monospace; }}

@media (max-width: 1000px) {{
  main {{ padding: 28px 20px 48px; }}
  .facts {{ grid-template-columns: repeat(2, minmax(0, 1fr)); }}
  .tile {{ flex-basis: 40%; max-width: none; }}
  .beside {{ grid-template-columns: minmax(0, 1fr); }}
  .figures {{ gap: 24px 20px; }}
  .gallery {{ grid-template-columns: repeat(4, minmax(0, 1fr)); }}
  .confusion .guess {{ font-size: 10.5px; letter-spacing: -0.02em; }}
  .confusion .number {{ width: 48px; }}
  .cell {{ font-size: 13px; }}
  .number .interval {{ display: block; font-size: 12px; }}
  .beside .narrow .interval {{ display: inline; font-size: inherit; }}
  th, td {{ padding-left: 8px; }}
}}
@media (max-width: 520px) {{
  .figures {{ grid-template-columns: minmax(0, 1fr); }}
  .gallery {{ grid-template-columns: repeat(2, minmax(0, 1fr)); }}
  section {{ overflow-x: auto; }}
}}
@media print {{
  @page {{ margin: 14mm; }}
  html {{ font-size: 12px; }}
  main {{ max-width: none; padding: 0; }}
  nav {{ display: none; }}
  section {{ margin-top: 32px; }}
  .facts {{ grid-template-columns: repeat(4, minmax(0, 1fr)); }}
  .tile {{ flex-basis: 20%; padding: 10px 12px; }}
  .tile-value {{ font-size: 30px; }}
  .gallery {{ grid-template-columns: repeat(6, minmax(0, 1fr)); }}
  .gallery li {{ font-size: 11px; }}
  .face {{ width: 96px; height: 96px; }}
  h2, h3, .reading, .problem {{ break-after: avoid; }}
  table, figure, .tile, .gallery li, .notes li {{ break-inside: avoid; }}
}}
"""
