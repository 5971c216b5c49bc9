"""Which engine can read which language and script."""

TESSERACT_NAMES = {
    "af": "afr", "ar": "ara", "be": "bel", "bg": "bul", "bn": "ben", "ca": "cat", "cs": "ces", "da": "dan", "de": "deu", "el": "ell",
    "en": "eng", "es": "spa", "et": "est", "eu": "eus", "fa": "fas", "fi": "fin", "fr": "fra", "gl": "glg", "he": "heb", "hi": "hin",
    "hr": "hrv", "hu": "hun", "id": "ind", "is": "isl", "it": "ita", "ja": "jpn", "ka": "kat", "ko": "kor", "lt": "lit", "lv": "lav",
    "mk": "mkd", "mr": "mar", "ms": "msa", "nl": "nld", "no": "nor", "pl": "pol", "pt": "por", "ro": "ron", "ru": "rus", "sk": "slk",
    "sl": "slv", "sq": "sqi", "sr": "srp", "sv": "swe", "ta": "tam", "th": "tha", "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie",
    "zh": "chi_sim",
}  # fmt: skip
"""ISO 639-1 → tesseract's name of the language."""

SCRIPT_LANGUAGES = {
    "Arabic": ("ara", "fas", "urd"),
    "Bengali": ("ben",),
    "Cyrillic": ("rus", "ukr", "bul", "srp", "bel", "mkd"),
    "Devanagari": ("hin", "mar"),
    "Georgian": ("kat",),
    "Greek": ("ell",),
    "Han": ("chi_sim", "chi_tra"),
    "Hangul": ("kor",),
    "Hebrew": ("heb",),
    "Japanese": ("jpn", "chi_sim"),
    "Korean": ("kor",),
    "Tamil": ("tam",),
    "Thai": ("tha",),
}
"""Scripts as tesseract's orientation and script detection names them → languages to read them with, the first two installed ones."""

RAPID_LACKS = frozenset(("ar", "be", "bg", "bn", "el", "fa", "he", "hi", "ka", "ko", "mk", "mr", "ru", "sr", "ta", "th", "uk", "ur"))
"""Languages."""
RAPID_SCRIPTS = frozenset(("Latin", "Han", "Japanese"))
"""Its bundled model knows 15,908 Chinese characters, Japanese, and 549 Latin letters. It has Greek letters, yet reads a third of Greek
words; Vietnamese, of which it reads half the words, is still better than English letters for it."""
