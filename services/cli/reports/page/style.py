"""The page's looks: one column on a phone, colours for light and dark."""

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--back:#fff;--ink:#1c2330;--soft:#5d6778;--edge:#dde2ea;--card:#f5f7fa;--line:#2563eb;
--win:#0f7b4d;--loss:#c02637}
@media(prefers-color-scheme:dark){:root{--back:#11151c;--ink:#e6eaf1;--soft:#9aa5b6;--edge:#2b3342;--card:#1a202b;
--line:#6ea0ff;--win:#4cc38a;--loss:#ff7b86}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:16px}
h1{font-size:22px;overflow-wrap:anywhere}h2{font-size:16px;margin:24px 0 4px;overflow-wrap:anywhere}
p,footer{color:var(--soft);margin:4px 0;overflow-wrap:anywhere}footer{font-size:12px;margin-top:32px}
.warn{color:var(--ink);background:var(--card);border-left:4px solid var(--loss);padding:10px 12px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:8px;margin:0}
.tiles div{background:var(--card);border:1px solid var(--edge);border-radius:8px;padding:8px 12px}
dt{color:var(--soft);font-size:12px}dd{margin:0;font-size:17px;white-space:nowrap;font-variant-numeric:tabular-nums;text-overflow:ellipsis;overflow:hidden}
svg{display:block;width:100%;height:220px;background:var(--card);border:1px solid var(--edge);border-radius:8px}
polyline,line{fill:none;stroke-width:1.5;vector-effect:non-scaling-stroke}
.equity{stroke:var(--line)}.price{stroke:var(--soft)}.base{stroke:var(--edge)}
.win{color:var(--win);fill:var(--win);stroke:var(--win)}.loss{color:var(--loss);stroke:var(--loss)}
rect.loss,circle.loss,.area.loss{fill:var(--loss)}.area{opacity:.2;stroke:none}polyline.loss{fill:none}
.wide{overflow-x:auto;border:1px solid var(--edge);border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:5px 10px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--edge)}
th{background:var(--card);color:var(--soft);font-weight:600}
th:first-child,td:first-child{text-align:left}
.words td:first-child,.told td:last-child{white-space:normal;overflow-wrap:anywhere;min-width:140px}
.told td:last-child{text-align:left;min-width:260px}
"""
