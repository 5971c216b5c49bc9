"""Writes the mails of the cases of parse-email: ``python samples/case_files/parse_email.py``."""

from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "include" / "skills" / "parse-email" / "evals" / "files"
PLAN = b"Berth 4: Lysbet, 06:40\r\nBerth 5: Skarv, 07:15\r\n"


def main() -> None:
    """Write every file."""
    FILES.mkdir(parents=True, exist_ok=True)
    files = {
        "berth-plan.eml": berth_plan(),
        "broken-charset.eml": BROKEN,
        "bare-note.eml": b"From: a.bello@ferries.example\n\n",
        "no-mail.eml": b"The pier is closed on Monday.\nPlease use the eastern one.\n",
    }
    for name, data in files.items():
        (FILES / name).write_bytes(data)


def berth_plan() -> bytes:
    """Return a reply with alternatives, a file and another message attached."""
    inner = EmailMessage(policy=SMTP)
    inner["From"], inner["Subject"], inner["Date"] = "skarv@ferries.example", "Late tonight", "Sun, 01 Mar 2026 21:02:00 +0000"
    inner.set_content("Engine trouble. We arrive after midnight.")
    mail = EmailMessage(policy=SMTP)
    mail["From"] = '"Bello, Idris (harbour office)" <i.bello@ferries.example>'
    mail["To"] = "Marta Kovač <marta@ferries.example>, crew@lysbet.example"
    mail["Cc"] = "archive@ferries.example"
    mail["Subject"] = "Re: Berths on Monday – who goes first?"
    mail["Date"] = "Mon, 02 Mar 2026 05:10:30 -0330"
    mail["Message-ID"], mail["In-Reply-To"] = "<b-17@ferries.example>", "<b-16@ferries.example>"
    mail["References"] = "<b-15@ferries.example> <b-16@ferries.example>"
    mail.set_content("Lysbet goes first, Skarv follows.\n\nIdris")
    mail.add_alternative("<p>Lysbet goes <b>first</b>, Skarv follows.</p><p>Idris</p>", subtype="html")
    mail.add_attachment(PLAN, maintype="text", subtype="plain", filename="Liegeplätze Montag.txt")
    mail.add_attachment(inner)
    mail.set_boundary("=-berths-1")
    mail.get_payload(0).set_boundary("=-berths-2")  # type: ignore[union-attr]
    return mail.as_bytes()


BROKEN = (
    "From: Søren Vig <vig@boats.example>\n"
    "To: undisclosed-recipients:;\n"
    "Subject: =?x-made-up?B?UsO4ciBpIGvDpmxkZXJlbg==?= og\n  mere\n"
    "Date: yesterday, in the evening\n"
    "References: <first@boats.example>\n  <second@boats.example>\n"
    'Content-Type: text/plain; charset="x-made-up"\n'
    "Content-Transfer-Encoding: 8bit\n\n"
    "Røret i kælderen er tæt igen. Vi ses på fredag.\n"
).encode()
"""A subject and a text in a charset that there is none of, 8 bits in a name, and a date that is none."""


if __name__ == "__main__":
    main()
