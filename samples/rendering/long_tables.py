"""The two samples whose many rows are drawn with a fixed seed: a long invoice and a table of shipments."""

import csv
import datetime as dt
import io
import random
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")

PARTS = (
    ("Deep groove ball bearing 6204-2RS", "4.85"),
    ("Deep groove ball bearing 6206-ZZ", "7.40"),
    ("Tapered roller bearing 30205", "12.95"),
    ("Pillow block UCP 205", "18.60"),
    ("V-belt SPA 1250", "9.75"),
    ("V-belt SPB 2000", "16.20"),
    ("Timing belt HTD 8M-960, 30 mm", "22.10"),
    ("Roller chain 08B-1, 5 m", "31.50"),
    ("Connecting link 08B-1", "0.95"),
    ("Shaft seal 30x47x7 NBR", "2.15"),
    ("Shaft seal 45x62x8 FKM", "6.80"),
    ("O-ring set NBR 70, 382 pieces", "27.90"),
    ("Hydraulic hose 2SN DN10, per metre", "8.35"),
    ("Hose fitting DKOL M16x1.5", "3.60"),
    ("Quick coupling ISO 7241-A, 1/2 inch", "14.25"),
    ("Pressure gauge 0-250 bar, glycerine", "19.80"),
    ("Return filter cartridge 10 micron", "33.40"),
    ("Grease cartridge EP2, 400 g", "5.20"),
    ("Gear oil ISO VG 220, 20 l", "74.00"),
    ("Proximity switch M12 PNP, 4 mm", "21.75"),
    ("Sensor cable M12, 5 m, angled", "11.30"),
    ("Limit switch with roller lever", "26.45"),
    ("Emergency stop button, complete", "38.90"),
    ("Contactor 11 kW, 24 V DC coil", "57.20"),
    ("Motor protection switch 6-10 A", "44.65"),
    ("Cable gland M20, brass", "1.40"),
    ("Hex bolt M12x60 8.8, box of 50", "24.80"),
    ("Locking nut M12, box of 100", "13.60"),
    ("Flat washer M12, box of 200", "8.10"),
    ("Threadlocker medium strength, 50 ml", "17.35"),
    ("Conveyor roller 50x600 mm", "15.90"),
    ("Rubber buffer 40x30 M8", "2.75"),
)


def parts_invoice(seed: int) -> str:
    """Return the source of an invoice over two pages: 56 lines, a freight charge and 20 % VAT."""
    rng = random.Random(seed)
    rows, net = [], Decimal(0)
    for number in range(1, 57):
        name, price = rng.choice(PARTS)
        quantity = rng.choice((1, 2, 2, 4, 5, 6, 8, 10, 12, 20, 25))
        amount = Decimal(price) * quantity
        net += amount
        order = f"{rng.choice(('WO', 'MX'))}-{rng.randint(2100, 2190)}"
        rows.append(f"| {number} | {name} | {order} | {quantity} | {price} | {amount:,.2f} |")
    tax = (net * Decimal("0.20")).quantize(CENT, ROUND_HALF_UP)
    return PARTS_INVOICE.format(rows="\n".join(rows), net=f"{net:,.2f}", tax=f"{tax:,.2f}", total=f"{net + tax:,.2f}")


PARTS_INVOICE = """---
footer: Kestrel Bearings and Drives Ltd, registered in England 00000000, VAT GB 000 0000 00
title: Invoice 88213
author: Kestrel Bearings and Drives Ltd
size: 9
columns: {{6: [10, 75, 22, 14, 22, 27], 2: [143, 27]}}
---
# Invoice 88213

**Kestrel Bearings and Drives Ltd**\\
Unit 14, Saltmarsh Trading Estate, Exampleton EX9 4KB\\
accounts@kestrelbearings.example.com, +44 161 496 0288

Bill to:\\
Northmoor Quarries plc, Plant Maintenance\\
PO Box 61, Exampleton EX2 7NQ

Invoice date 28 February 2026. Payment due 30 March 2026. Monthly account NQ-0417, covering all counter collections and van deliveries
from 1 to 28 February. The column headed Job carries the work order number your fitters gave at the counter.

| No | Part | Job | Qty | Unit GBP | Amount GBP |
{rows}

| Summary | GBP |
| Net of all lines | {net} |
| VAT 20% | {tax} |
| Total due | {total} |

Goods remain our property until paid in full. Faulty parts: please keep the packaging and quote the line number. Interest is charged on
overdue accounts at 4% above base rate.

Pay by transfer to Kestrel Bearings and Drives Ltd, IBAN GB29 NWBK 6016 1331 9268 19.
"""


def shipments(seed: int) -> str:
    """Return a CSV of 60 shipments of one month, one row each."""
    rng = random.Random(seed)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("shipment", "picked_up", "delivered", "from", "to", "carrier", "pallets", "weight_kg", "status"))
    depots, carriers = ("Exampleton", "Northmoor", "Saltmarsh", "Port Heron"), ("Greyline", "Tallow Freight", "own fleet")
    for number in range(60):
        start = dt.date(2026, 2, 1) + dt.timedelta(days=rng.randrange(27))
        days = rng.choice((1, 1, 1, 2, 2, 3, 5))
        origin, target = rng.sample(depots, 2)
        pallets = rng.randint(1, 22)
        status = "late" if days >= 3 else rng.choice(("on time", "on time", "on time", "damaged"))
        row = (f"SH{60110 + number}", start, start + dt.timedelta(days=days), origin, target, rng.choice(carriers), pallets)
        writer.writerow((*row, pallets * rng.randint(180, 640), status))
    return out.getvalue()
