"""Writes the files of detect-encoding's cases."""

from pathlib import Path

FILES = Path(__file__).parents[2] / "include" / "skills" / "detect-encoding" / "evals" / "files"
GERMAN = (
    "Sehr geehrte Frau Öztürk,\r\n\r\ndie Prüfung der Kühlanlage in Halle 3 kostet 480,00 € zuzüglich Anfahrt.\r\n"
    "Wir können am Donnerstag früh kommen; bitte räumen Sie den Gang vor der Anlage.\r\n\r\nMit freundlichen Grüßen\r\nJörg Häußler\r\n"
)
RUSSIAN = (
    "Протокол совещания от 3 марта.\nСклад получил новые стеллажи, старые будут вывезены до пятницы.\n"
    "Инвентаризация переносится на следующую неделю, ответственная Галина Петровна.\n"
)
GREEK = "Αγαπητοί συνεργάτες,\nη παράδοση των εντύπων μεταφέρεται στην Παρασκευή.\nΕυχαριστούμε για την κατανόηση.\n"
PAGE = (
    '<html><head><meta charset="{}"><title>Öffnungszeiten</title></head>\n'
    "<body><p>Die Bücherei öffnet werktags um neun Uhr, samstags für Familien schon um acht.</p></body></html>\n"
)
LATE = "Line {:04d} of the meter log: valve closed, pressure steady, no remarks.\n"


def main() -> None:
    """Write each file."""
    japanese = "点検報告\n三月二日、東倉庫の換気扇を点検しました。異常はありませんでした。\n次回の点検は六月を予定しています。\n"
    for name, data in {
        "kuehlanlage.txt": GERMAN.encode("cp1252"),
        "protokol.txt": RUSSIAN.encode("koi8-r"),
        "tenken.txt": japanese.encode("shift_jis"),
        "ellinika.txt": GREEK.encode("cp1253"),
        "export.csv": ("\ufeff" + "name;Straße;Ort\r\nMüller;Bäckerweg 4;Köln\r\n").encode("utf-16-le"),
        "claims-utf8.html": PAGE.format("utf-8").encode("cp1252"),
        "claims-latin1.html": PAGE.format("iso-8859-1").encode("cp1252"),
        "late-letter.txt": (
            "".join(map(LATE.format, range(1000)))
            + "Später geprüft: Überdruckventil geöffnet, Zähler zurückgesetzt. Gezeichnet: Jürgen Weiß\n"
        ).encode("cp1252"),
        "two-encodings.txt": "Café Lumière, réservé à 20 h.\n".encode() * 2000 + "Le café fermé dès 22 h.\n".encode("cp1252"),
        "plain.md": b"# Opening hours\n\nMonday to Friday, nine to five.\n",
        "pictures.txt": bytes(range(256)) * 8,
    }.items():
        (FILES / name).write_bytes(data)


if __name__ == "__main__":
    main()
