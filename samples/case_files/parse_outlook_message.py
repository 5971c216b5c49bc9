"""Writes the messages of the cases of parse-outlook-message: ``python samples/case_files/parse_outlook_message.py``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "include" / "skills" / "parse-outlook-message" / "evals" / "files"
SENT_AT = 0x00390040
TICKS_OF_MARCH_2 = 134_169_162_300_000_000
"""2 March 2026, 09:10:30 UTC, in tenths of a microsecond since 1601."""
Storage = dict[str, "bytes | Storage"]


def main() -> None:
    """Write every file."""
    sys.path.insert(0, str(ROOT))
    from tests.documents.made import ole

    FILES.mkdir(parents=True, exist_ok=True)
    lost = ole(message())
    files = {
        "berth-plan.msg": ole(berth_plan()),
        "urlaub.msg": ole(leave()),
        "empty-draft.msg": lost,
        "lost-directory.msg": lost[:48] + (0x0FFFFFFF).to_bytes(4, "little") + lost[52:],
    }
    for name, data in files.items():
        (FILES / name).write_bytes(data)
    (FILES / "no-message.msg").write_bytes(b"The pier is closed on Monday.\n")


def berth_plan() -> Storage:
    """Return a sent message with recipients in a list, headers of its way, a file and another message attached."""
    headers = (
        "Received: from mail.ferries.example\r\nDate: Mon, 02 Mar 2026 05:40:30 -0330\r\nReferences: <b-15@f.example> <b-16@f.example>\r\n"
    )
    texts = {
        "0037": "Re: Berths on Monday",
        "1000": "Lysbet goes first, Skarv follows.",
        "0C1A": "Bello, Idris",
        "5D01": "i.bello@ferries.example",
    }
    root = message(**texts, **{"007D": headers, "1035": "<b-17@ferries.example>", "0E04": "Marta Kovač; Crew"}, sent=TICKS_OF_MARCH_2)
    root["__recip_version1.0_#00000000"] = recipient(1, "Marta Kovač", "marta@ferries.example")
    root["__recip_version1.0_#00000001"] = recipient(2, "'archive@ferries.example'", "archive@ferries.example")
    root["__recip_version1.0_#00000002"] = recipient(1, "Crew", "/o=Ferries/ou=Exchange/cn=Recipients/cn=crew")
    file = {"__substg1.0_37010102": b"Berth 4: Lysbet, 06:40\r\n".ljust(4096), "__substg1.0_370E001F": text("text/plain")}
    root["__attach_version1.0_#00000000"] = {"__substg1.0_3707001F": text("Liegeplätze Montag.txt"), **file}
    inner = message(**{"0037": "Late tonight", "1000": "Engine trouble."})
    root["__attach_version1.0_#00000001"] = {"__substg1.0_3001001F": text("Late tonight"), "__substg1.0_3701000D": inner}
    return root


def leave() -> Storage:
    """Return a German message of HTML only, with recipients in a line only, in an old encoding."""
    html = "<html><body><p>Ich bin bis <b>Freitag</b> im Urlaub.</p><p>Grüße, Jörg</p></body></html>".encode()
    root = message(
        **{"0037": "Urlaub bis Freitag", "0C1A": "Jörg Äcker", "0E04": "Empfang; Lager <lager@werk.example>"}, sent=TICKS_OF_MARCH_2
    )
    root["__substg1.0_10130102"] = html.ljust(4096)
    return root


def message(sent: int | None = None, **texts: str) -> Storage:
    """Return a message's properties: texts by their numbers, and when it was sent."""
    table = bytes(32) + (fixed(SENT_AT, sent) if sent else b"")
    return {"__properties_version1.0": padded(table), **{f"__substg1.0_{number}001F": text(value) for number, value in texts.items()}}


def recipient(kind: int, name: str, address: str) -> Storage:
    """Return a recipient: 1 to, 2 copy."""
    table = padded(bytes(8) + fixed(0x0C150003, kind), 8)
    tag = "39FE" if "@" in address else "3003"
    return {"__properties_version1.0": table, "__substg1.0_3001001F": text(name), f"__substg1.0_{tag}001F": text(address)}


def fixed(tag: int, value: int) -> bytes:
    """Return a property of fixed length in the table of properties."""
    return tag.to_bytes(4, "little") + bytes(4) + value.to_bytes(8, "little")


def padded(table: bytes, head: int = 0) -> bytes:
    """Return the table with empty properties up to the length from which streams lie in sectors of their own."""
    return table.ljust(4096 + head, b"\0")


def text(value: str) -> bytes:
    """Return a text as Outlook writes it."""
    return value.encode("utf-16-le")


if __name__ == "__main__":
    main()
