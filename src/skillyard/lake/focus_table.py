"""The schema of ``focus``: the bill in the words of FOCUS 1.2, for tools that read many providers' bills.

All 57 columns of the specification come first, under its names; then ours, which begin with ``x_``. Amounts have 20 places, as many as a
price, so that a quantity times its unit price is its cost and loses nothing. Source: https://focus.finops.org/focus-specification/v1-2/
"""

import pyarrow as pa

from skillyard.lake.tables import DATE, INT, PURPOSE, TEXT, TIMESTAMP, Table, field, required

AMOUNT = pa.decimal128(38, 20)
QUANTITY = pa.decimal128(28, 6)
USED = "null for an adjustment"
NONE = "always null: there is none here"

FOCUS = Table(
    "focus",
    "The bill of a day in FOCUS 1.2: a row per charge and meter. Sums of BilledCost equal the ledger to the last decimal.",
    ("x_ChargeId", "x_Meter"),
    "x_UsageDate",
    pa.schema(
        [
            field("AvailabilityZone", TEXT, NONE),
            required("BilledCost", AMOUNT, "what it cost, in BillingCurrency"),
            required("BillingAccountId", TEXT, "the provider, as in the price book"),
            required("BillingAccountName", TEXT, "the provider's name"),
            required("BillingAccountType", TEXT, "Provider account"),
            required("BillingCurrency", TEXT, "USD"),
            required("BillingPeriodEnd", TIMESTAMP, "the first moment of the next calendar month, UTC"),
            required("BillingPeriodStart", TIMESTAMP, "the first moment of the calendar month, UTC"),
            field("CapacityReservationId", TEXT, NONE),
            field("CapacityReservationStatus", TEXT, NONE),
            required("ChargeCategory", TEXT, "Usage: a quantity at a unit price; Adjustment: what has none, see x_Meter"),
            field("ChargeClass", TEXT, "always null: a correction is a row of the billing period that it corrects"),
            required("ChargeDescription", TEXT, "the model and what it was charged for"),
            required("ChargeFrequency", TEXT, "Usage-Based, or One-Time for an adjustment"),
            required("ChargePeriodEnd", TIMESTAMP, "the first moment of the next day, UTC"),
            required("ChargePeriodStart", TIMESTAMP, "the first moment of the day, UTC"),
            field("CommitmentDiscountCategory", TEXT, NONE),
            field("CommitmentDiscountId", TEXT, NONE),
            field("CommitmentDiscountName", TEXT, NONE),
            field("CommitmentDiscountQuantity", QUANTITY, NONE),
            field("CommitmentDiscountStatus", TEXT, NONE),
            field("CommitmentDiscountType", TEXT, NONE),
            field("CommitmentDiscountUnit", TEXT, NONE),
            field("ConsumedQuantity", QUANTITY, f"as PricingQuantity; {USED}"),
            field("ConsumedUnit", TEXT, f"as PricingUnit; {USED}"),
            required("ContractedCost", AMOUNT, "ContractedUnitPrice x PricingQuantity; of an adjustment as BilledCost"),
            field("ContractedUnitPrice", AMOUNT, f"the price that was charged; {USED}"),
            required("EffectiveCost", AMOUNT, "as BilledCost: nothing is paid ahead"),
            field("InvoiceId", TEXT, NONE),
            required("InvoiceIssuerName", TEXT, "the provider's name"),
            required("ListCost", AMOUNT, "ListUnitPrice x PricingQuantity; of an adjustment as BilledCost"),
            field("ListUnitPrice", AMOUNT, f"the standard service tier's price of the same meter, where that is higher; {USED}"),
            field("PricingCategory", TEXT, f"Standard; {USED}"),
            required("PricingCurrency", TEXT, "USD"),
            field("PricingCurrencyContractedUnitPrice", AMOUNT, "as ContractedUnitPrice"),
            required("PricingCurrencyEffectiveCost", AMOUNT, "as EffectiveCost"),
            field("PricingCurrencyListUnitPrice", AMOUNT, "as ListUnitPrice"),
            field("PricingQuantity", QUANTITY, f"how much of the meter; {USED}"),
            field("PricingUnit", TEXT, f"Tokens, Images, Requests or Seconds; {USED}"),
            required("ProviderName", TEXT, "who served the model"),
            required("PublisherName", TEXT, "who served the model"),
            field("RegionId", TEXT, "the region that the price is for, where the price book has one"),
            field("RegionName", TEXT, "as RegionId"),
            field("ResourceId", TEXT, "the deployment that was asked; null for a correction"),
            field("ResourceName", TEXT, "always null: a deployment has no other name"),
            field("ResourceType", TEXT, "Model deployment; null for a correction"),
            required("ServiceCategory", TEXT, "AI and Machine Learning"),
            required("ServiceName", TEXT, "the provider's service"),
            required("ServiceSubcategory", TEXT, "Generative AI"),
            field("SkuId", TEXT, f"model and meter of the price; {USED}"),
            field("SkuMeter", TEXT, f"the meter of the price, in words; {USED}"),
            field("SkuPriceDetails", TEXT, f"service tier and context tier of the price, a JSON object; {USED}"),
            field("SkuPriceId", TEXT, f"the row of the price book that was charged; {USED}"),
            field("SubAccountId", TEXT, "the team that pays; null for a correction"),
            field("SubAccountName", TEXT, "as SubAccountId"),
            field("SubAccountType", TEXT, "Team; null for a correction"),
            required("Tags", TEXT, "team, skill, tier, purpose and DAG, a JSON object whose keys begin with skillyard:"),
            required("x_UsageDate", DATE, "UTC day, as in the path"),
            required("x_ChargeId", TEXT, "the charge: a hash of all that follows up to x_PriceIds, and of the day"),
            required("x_Team", TEXT, "who pays; * for corrections"),
            required("x_Skill", TEXT, "the skill; * for corrections"),
            required("x_SkillFingerprint", TEXT, "the skill's fingerprint: its version"),
            required("x_Tier", TEXT, "fast, standard or expert"),
            required("x_Model", TEXT, "the resolved model"),
            required("x_Deployment", TEXT, "the deployment of the profile that was asked"),
            required("x_Lane", TEXT, "live or batch"),
            required("x_ServiceTier", TEXT, "the provider's price list it was charged by: standard, batch, flex, priority"),
            required("x_DagId", TEXT, "the DAG, or cli"),
            required("x_DagRun", TEXT, "the run"),
            required("x_Purpose", TEXT, PURPOSE),
            required("x_Use", TEXT, "served, repeated, rejected, shared or correction: what became of the answers"),
            required("x_PriceIds", TEXT, "all rows of the price book that the charge was priced by; bill: as the provider's bill says"),
            required(
                "x_Meter",
                TEXT,
                "input, cache_read, cache_write, cache_write_1h, output, image, request or compute_s; for adjustments: rounding (of each "
                "call), bill (settled by the provider's bill), correction, unpriced (no price of the price book gives this cost)",
            ),
            required("x_CallCount", INT, "calls of the charge, on its first row; 0 on the others, so that it can be summed"),
            required(
                "x_DocumentCount",
                INT,
                "distinct documents of team, skill, tier, model, lane and run, on the first row of these; 0 on the others",
            ),
        ]
    ),
    is_recomputed=True,
)
