"""The report of an incident as one HTML page that needs nothing besides itself. Pure."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape

from rotator import durations
from rotator.audit.certificates import Certificate, Death
from rotator.incident.coverage import Coverage
from rotator.incident.report import Line, Report

_WIDTH = 1000  # of the timeline, in its own units
_TICKS = 4
_NAMED = 5  # policies that are not covered for one reason
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #5c6670; --line: #d5dadf; --ground: #fff;
  --good: #1a7f37; --bad: #c62828; --wait: #9a6700; --bar: #4078c0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa4ae; --line: #3a424a;
  --ground: #15191d; --good: #56d364; --bad: #ff7b72; --wait: #e3b341; --bar: #79b8ff; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.soft { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
.wait { color: var(--wait); }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 1rem 0; }
.figures b { display: block; font-size: 1.6rem; line-height: 1.2; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem .35rem 0;
  border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; } code { font-size: .9em; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; } svg text { fill: var(--soft); }
svg .axis { stroke: var(--line); } svg .both { fill: var(--wait); opacity: .55; }
svg .new { fill: var(--bar); } svg .lost { fill: var(--soft); opacity: .6; }
svg .none { fill: var(--bad); }
svg .dead { fill: var(--good); }
@media print { body { max-width: none; margin: 0; } }
"""
_LOOKS = {
    Coverage.ROTATED: "good",
    Coverage.FAILED: "bad",
    Coverage.WAITING: "wait",
    Coverage.UNCOVERED: "bad",
    Coverage.WORKING: "wait",
}


def page(report: Report) -> str:
    """The page, as text to be written to a file."""
    incident = report.incident
    title = f"Incident {incident.id}"
    when = f"Begun {_at(incident.at)} by {escape(incident.by)}; as it stood {_at(report.now)}."
    parts = [
        f"<h1>{title}: {escape(incident.reason)}</h1>",
        f'<p class="soft">{when}</p>',
        _figures(report),
        _section("Not covered, and why", _left(report.lines, incident.besides)),
        _section("Timeline", _timeline(report)),
        _section("Every secret", _table(report.lines)),
        _section("Death certificates", _certificates(report.lines)),
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<h2>{title}</h2>\n{content}" if content else ""


# --- figures ---------------------------------------------------------------------------------------------


def _figures(report: Report) -> str:
    """The numbers that are asked for first."""
    whole = len(report.lines)
    rotated = report.counts.get(str(Coverage.ROTATED), 0)
    looks = "good" if report.covered else "bad"
    told = [
        _figure(f"{rotated} of {whole}", "covered", looks),
        _figure(str(report.contained), "with every old key dead"),
        _figure(_span(report.longest), "until the last of these"),
    ]
    for coverage in (Coverage.FAILED, Coverage.WAITING, Coverage.UNCOVERED, Coverage.WORKING):
        count = report.counts.get(str(coverage), 0)
        told += [_figure(str(count), str(coverage), _LOOKS[coverage])] if count else []
    besides = report.incident.besides
    told += [_figure(str(len(besides)), "besides, not covered", "bad")] if besides else []
    return f'<div class="figures">{"".join(told)}</div>'


def _figure(value: str, what: str, looks: str = "") -> str:
    return f'<div><b class="{looks}">{escape(value)}</b>{escape(what)}</div>'


def _left(lines: Iterable[Line], besides: Iterable[str]) -> str:
    """What is not covered: the first thing that somebody must act on."""
    alike: dict[tuple[str | None, Coverage, str], list[str]] = {}
    for line in lines:
        if not line.covered:
            alike.setdefault((line.owner, line.coverage, line.why), []).append(line.policy)
    rows = [
        (_text(_some(policies)), _text(owner or "-"), _coverage(coverage), _text(why))
        for (owner, coverage, why), policies in alike.items()
    ]
    rows += [("-", "-", _coverage(Coverage.UNCOVERED), _text(what)) for what in besides]
    return _rows(("policy", "owner", "coverage", "why, and what to do"), rows)


def _some(policies: Sequence[str]) -> str:
    """The names of policies that have the same in common; every secret is named further down."""
    more = f" and {len(policies) - _NAMED} more" if len(policies) > _NAMED else ""
    return f"{', '.join(policies[:_NAMED])}{more}"


# --- the timeline ----------------------------------------------------------------------------------------


def _timeline(report: Report) -> str:
    """A row for each secret: from when its rotation began to its new key, and on to its old key's death."""
    begun = [line for line in report.lines if line.began_at is not None]
    if not begun:
        return ""
    start = report.incident.at
    marks = [
        at
        for line in begun
        for at in (line.began_at, line.in_use_at, line.missed_at, line.contained_at)
        if at is not None
    ]
    marks += [] if all(line.over for line in begun) else [report.now]
    whole = max((max(marks) - start).total_seconds(), 1.0)
    height = 14 * len(begun) + 24
    drawn = [_tick(start, whole, step, height) for step in range(_TICKS + 1)]
    drawn += [_bars(line, 14 * row + 20, start, whole) for row, line in enumerate(begun)]
    legend = (
        '<p class="soft"><span style="color:var(--bar)">■</span> until the new key was in use '
        '<span class="soft">■</span> no new key came of it '
        '<span style="color:var(--wait)">■</span> both keys lived '
        '<span class="bad">■</span> neither worked '
        '<span class="good">■</span> old key dead</p>'
    )
    box = f"0 0 {_WIDTH + 260} {height}"
    label = "When each key came and died"
    return f'{legend}\n<svg viewBox="{box}" role="img" aria-label="{label}">{"".join(drawn)}</svg>'


def _tick(start: datetime, whole: float, step: int, height: int) -> str:
    x = 200 + _WIDTH * step / _TICKS
    at = start + timedelta(seconds=whole * step / _TICKS)
    text = f"{at.astimezone(UTC):%H:%M:%S}"
    line = f'<line class="axis" x1="{x:.0f}" x2="{x:.0f}" y1="14" y2="{height}"/>'
    return f'{line}<text x="{x - 24:.0f}" y="10">{text}</text>'


def _bars(line: Line, y: int, start: datetime, whole: float) -> str:
    """One secret's row. What is not over is drawn to the end, which is then the time of the report."""

    def x(at: datetime | None) -> float:
        seconds = whole if at is None else (at - start).total_seconds()
        return 200 + _WIDTH * min(max(seconds / whole, 0.0), 1.0)

    parts = [
        f'<text x="0" y="{y + 9}">{_text(line.policy[:32])}</text>',
        _bar("lost" if line.missed_at else "new", x(line.began_at), x(line.in_use_at or line.missed_at), y),
    ]
    first = line.contained_at and (line.in_use_at is None or line.contained_at < line.in_use_at)
    if first:  # the old key was dead before the new one was in use: nothing worked in between
        parts.append(_bar("none", x(line.contained_at), x(line.in_use_at), y))
    elif line.in_use_at is not None and line.old_keys:
        parts.append(_bar("both", x(line.in_use_at), x(line.contained_at), y))
    if line.contained_at is not None:
        parts.append(f'<circle class="dead" cx="{x(line.contained_at):.1f}" cy="{y + 5}" r="4"/>')
    return "".join(parts)


def _bar(kind: str, left: float, right: float, y: int) -> str:
    return f'<rect class="{kind}" x="{left:.1f}" y="{y}" width="{max(right - left, 1):.1f}" height="10"/>'


# --- tables ----------------------------------------------------------------------------------------------


def _table(lines: Iterable[Line]) -> str:
    """Every secret with its keys and times."""
    rows = [
        (
            f"{_text(line.policy)}<br>{_text(line.owner or '')}",
            f"{_text(line.provider)}<br><code>{_text(line.secret)}</code>",
            _coverage(line.coverage),
            f"<code>{_text(line.new_key or '-')}</code>",
            "<br>".join(f"<code>{_text(key)}</code>" for key in line.old_keys) or "-",
            _contained(line),
        )
        for line in lines
    ]
    return _rows(("policy, owner", "provider, secret", "coverage", "new key", "old keys", "contained"), rows)


def _contained(line: Line) -> str:
    """When the old key was dead, or what it waits for."""
    if line.contained_after is not None:
        return f'<span class="good">after {_text(_span(line.contained_after))}</span>'
    if line.dies_at is not None:
        return f'<span class="wait">lives until {_at(line.dies_at)}</span>'
    return "-" if not line.old_keys else '<span class="wait">not yet</span>'


def _certificates(lines: Iterable[Line]) -> str:
    """How each key that had to die died, and by which proof."""
    found = [(line, one) for line in lines for one in line.certificates]
    rows = [
        (
            _text(line.policy),
            f"<code>{_text(one.key_id or 'of unknown id')}</code>",
            _at(one.issued_at),
            _at(one.current_at),
            _at(one.revoked_at),
            _death(one),
        )
        for line, one in found
    ]
    return _rows(("policy", "key", "issued", "in use", "revoked", "how its death is known"), rows)


def _death(one: Certificate) -> str:
    if one.death is None:
        return '<span class="wait">it may live</span>'
    looks = "good" if one.death is Death.PROVEN else "wait"
    by = f" by {one.declared_by}" if one.declared_by else ""
    text = f"{one.death}{by} {_at(one.died_at)}: {one.proof or ''}"
    return f'<span class="{looks}">{_text(text)}</span>'


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the cells are HTML."""
    if not rows:
        return ""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>'


# --- words -----------------------------------------------------------------------------------------------


def _coverage(coverage: Coverage) -> str:
    return f'<span class="{_LOOKS[coverage]}">{escape(str(coverage))}</span>'


def _text(text: str) -> str:
    """Text for a cell, without control characters."""
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text))


def _at(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "-"


def _span(span: timedelta | None) -> str:
    return "-" if span is None else durations.text(timedelta(seconds=int(span.total_seconds())))
