"""Results of compare_peers as a Markdown table and as an SVG bar chart."""
from xml.sax.saxutils import escape

COLOURS = {"hone": "#1b7f5c", "untuned": "#8fc7b1", "onnxruntime": "#7a8ca0", "openvino": "#5b8def", "ncnn": "#d9913b"}
BAR, GAP, LEFT, WIDTH = 14, 16, 190, 420   # pixels; WIDTH is twice Hone's time


def engines_of(results):
    names = []
    for result in results:
        names += [name for name in result["engines"] if name not in names]
    return names


def cell(row, own):
    if row is None:
        return "-"
    if row.get("fault"):
        return f"x ({row['fault']})"
    time = f"{row['p20'] * 1e3:.2f}"
    if row is own:
        return time
    ratio, low, high = row["ratio"]
    mark = "" if high >= 1 else " **loss**"   # Hone is slower, and surely so
    return f"{time} ({ratio:.2f}x, {low:.2f}-{high:.2f}){mark}"


def row(result, names):
    own = result["engines"]["hone"]
    cells = [cell(result["engines"].get(name), own) for name in names]
    return " | ".join([result["model"], str(result["threads"]), f"{result['sum_of_tasks'] * 1e3:.2f}", *cells])


def table(results):
    names = engines_of(results)
    lines = ["| model | threads | sum | " + " | ".join(names) + " |", "|---" * (len(names) + 3) + "|"]
    lines += [f"| {row(result, names)} |" for result in results]
    seen = sorted({f"{r['cpu']}, commit {r['commit']}, {r['rounds']} rounds, budget {r['budget']}" for r in results})
    lines.append("\nMilliseconds (20th percentile); in brackets the engine's time / Hone's with its 95 % interval. " + "; ".join(seen))
    return "\n".join(lines) + "\n"


def bars(results):
    """Time relative to Hone's: what reaches beyond the line is slower than Hone."""
    names = engines_of(results)
    parts, y = [], 40
    for result in results:
        own = result["engines"]["hone"].get("p20")
        parts.append(f'<text x="8" y="{y + 12}">{escape(result["model"])} ({result["threads"]}T)</text>')
        for name in names:
            each = result["engines"].get(name, {})
            if own and each.get("p20") and not each.get("fault"):
                relative = each["p20"] / own
                width = min(relative, 3) * WIDTH / 2
                parts.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{COLOURS.get(name, "#999")}"/>'
                             f'<text x="{LEFT + width + 6:.1f}" y="{y + 11}">{escape(name)} {each["p20"] * 1e3:.2f} ms'
                             f' ({relative:.2f}x)</text>')
            else:
                why = each.get("fault") or "not run"
                parts.append(f'<text x="{LEFT + 4}" y="{y + 11}" fill="#888">{escape(name)}: {escape(why[:60])}</text>')
            y += BAR
        y += GAP
    line = LEFT + WIDTH / 2
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + int(1.5 * WIDTH) + 260}" height="{y + 10}" '
            f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>'
            f'<text x="8" y="18" font-size="14">Time for one inference, relative to Hone (longer is slower)</text>'
            + "".join(parts) + f'<line x1="{line}" y1="30" x2="{line}" y2="{y}" stroke="#333" stroke-dasharray="3 3"/></svg>\n')
