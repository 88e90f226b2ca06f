"""What two runs of one system differ in, masked; and what our log and Postfix's may differ in."""
import re

STOP = r"stopping the Postfix mail system"  # postlogd may be gone before it is told
# What may differ in any log, and why.
THEIRS_ONLY = [
    r"statistics: max ",  # anvil is an issue of its own
    r"file system clock is \d+ seconds ahead|resetting file time stamps",  # it measures the clock of a tmpfs
    STOP,
]
OURS_ONLY = [
    r"accepted, no effect yet: \w+|services whose program is not in",  # what is not built yet
    r"starting the Postfix mail system|terminating on signal 15",  # Postfix logs these, but its postlogd is not there yet, or no more
    STOP,
]

DATE = r"(?:\w{3}, +)?\d{1,2} \w{3} \d{4} [\d:]{8} [+-]\d{4}(?: \(\w+\))?"
UNIX_DATE = r"\w{3} \w{3} [ \d]\d [\d:]{8}(?: \d{4})?"
LINE = re.compile(r"\w{3} +\d+ [\d:]{8} \S+ (postfix[\w/-]*)\[\d+\]: (.*)")
QUEUE_ID = r"[0-9A-F]{6,16}"
# The words of a notice are each system's own; the reasons below them are compared.
NOTICE = re.compile(r"(?<=\nThis is the mail system at host ).*?(?=\n(?:<|--ID\.))", re.S)
MASKS = [(re.compile(pattern), mask) for pattern, mask in (
    (r"<\d{14}\.[0-9A-Za-z]+@", "<ID@"), (r"\bID\.\d+/", "ID.TIME/"), (DATE, "DATE"), (UNIX_DATE, "DATE"),
    (r"delay=[\d.]+, delays=[\d./]+", "delay=N"), (r"\b(size|SIZE)=\d+", r"\1=N"), (r"(client_port=)\d+", r"\1N"))]


class Masker:
    """Masks what one run of one system made up: `log` tells the ids of its messages."""

    def __init__(self, log):
        ids = set(re.findall(rf"\]: ({QUEUE_ID}): ", log)) | set(re.findall(rf"queued as ({QUEUE_ID})", log))
        self.ids = re.compile(r"(?<![0-9A-Za-z])(" + "|".join(sorted(ids, key=len, reverse=True) or ["$^"]) + r")(?![0-9A-Za-z])")

    def __call__(self, text):
        text = self.ids.sub("ID", text)
        for pattern, mask in MASKS:
            text = pattern.sub(mask, text)
        return sorted_entries(NOTICE.sub("...\n", text))


def is_entry(paragraph):
    return re.match(r"Final-Recipient: |<[^>]*>( \(expanded|:)", paragraph) is not None


def sorted_entries(text):
    """A notice names its recipients in the order in which they failed."""
    return "\n\n".join(sorted_runs(text.split("\n\n"), is_entry))


def sorted_runs(lines, belongs):
    """Neighbours of one kind in sorted order: what is done side by side comes in any."""
    result, run = [], []
    for line in lines:
        if belongs(line):
            run.append(line)
            continue
        result, run = result + sorted(run) + [line], []
    return result + sorted(run)


def is_delivery(line):
    return " to=<" in line and " status=" in line


def is_recipient(line):
    return line.startswith("RCPT TO:")


def log_blocks(text, excused, mask):
    """The log as blocks: one for each message, in its order, and one for all other lines, each sorted."""
    messages, others = {}, []
    for line in text.splitlines():
        found = LINE.match(line)
        if not found:
            others.append("malformed: " + mask(line))
            continue
        program, said = found.groups()
        if any(re.search(pattern, said) for pattern in excused) or said.startswith("daemon started"):
            continue
        queue_id = re.match(rf"({QUEUE_ID}): ", said)
        (messages.setdefault(queue_id[1], []) if queue_id else others).append(f"{program}: {mask(said)}")
    blocks = sorted(sorted_runs(lines, is_delivery) for lines in messages.values())
    return ["\n".join(block) for block in blocks] + sorted(others)


def session(place, commands, texts, mask):
    """What a server was told in one session."""
    return mask("\n".join([f"== {place}", *sorted_runs(commands, is_recipient), *(text.replace("\r\n", "\n") for text in texts)]))


def maildir_name(path):
    """Names of files in a maildir tell time, process and place."""
    return re.sub(r"/(new|cur|tmp)/[^/]+$", r"/\1/FILE", path)
