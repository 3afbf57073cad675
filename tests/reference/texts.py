"""The texts that the reference programs are asked about."""

from __future__ import annotations

import random
import unicodedata

FRANCE = "The capital of France is"
STUDENT = "When the student finished the exam, they felt relieved. The student was"
DIGITS = "On 14 March 2025 the café sold 3,141 naïve crêpes — 日本 🇯🇵 — for €27.50 each, and"
CHAT_QUESTION = "What is AI?"
SINGLE = "Once"
STORY = "Once upon a time"

# The examples that the program offers or its lessons use.
EXAMPLES = (
    " is",
    "is",
    "unbelievable",
    "I'm learning AI",
    "Hello, world!",
    "The quick brown fox",
    FRANCE,
    STUDENT,
    "What did you learn today?",
    "What did I say in the last message?",
    "The United States of",
    "Water boils at",
    "She is",
    "Photosynthesis is the process by which plants",
    "In my opinion, the best movie is",
    STORY,
    SINGLE,
    "Write a story",
    "Write a short story about a robot",
    "What is AI?",
    "Explain artificial intelligence in simple terms",
    "We're revolutionizing grocery shopping",
    "grocery attends to shopping",
    DIGITS,
)

PROSE = """\
The lighthouse keeper's daughter had learned to count by the turning of the lamp. One sweep was a breath, four \
sweeps were a cup of tea, and nine hundred, her father said, were a whole night of work. She did not believe him \
at first. She sat on the iron stairs with a blanket over her knees and a pencil in her hand, and she made a \
small mark for each time the beam crossed the harbour wall. By the third hour the marks had become a crowd, and \
by the fourth she was asleep.

In the morning there was a boat on the rocks. Nobody had been hurt, but its owner stood on the beach and shouted \
at the sea as if the sea could hear him. "I saw the light," he said, when the keeper came down with a rope and a \
bottle of brandy. "I saw it, and I thought it was the other one, the one at the end of the point. I turned too \
soon." The keeper nodded slowly. He had heard this before.

That evening he opened the heavy book in which every ship was written down, and he asked his daughter to read \
the numbers aloud while he drew them on a map. She read for a long time: 12 ships in January, 9 in February, 17 \
in March. When she had finished, the map was full of little crosses, and all of the crosses lay in one narrow \
line, like beads on a string. "What do you see?" he asked. She put her finger on the line and followed it past \
the rocks, across the bay, to the tall chimney of the new brick factory.

"It has a lamp as well," she said. "On the roof. It turns."

Her father laughed, and he put on his coat. They walked together through the wet grass to the house of the \
factory's owner, who was eating his supper and did not want to be disturbed. He listened all the same, because \
the girl had brought the map, and a map is hard to argue with. A week later the lamp on the chimney was painted \
red. No more boats came to the wrong side of the bay, and the heavy book grew quiet again. But the girl had \
found out something that winter, and she kept it, as others keep a shell or a coin: if you count patiently, and \
write down what you count, the world will sometimes tell you why.
"""

_SCRIPTS = {
    "digits": (
        "0",
        "1234567890",
        "3.14159",
        " 42",
        "a1b22c333",
        "1 2  3   4",
        "٠١٢٣٤٥٦٧٨٩",
        "०१२३",
        "½ ⅔ Ⅳ ① ² ₃",
        "12:30:59",
        "1e-10",
        "𝟘𝟙𝟚",
    ),
    "cjk": (
        "你好，世界！",
        "日本語のトークン化は難しい。",
        "안녕하세요 세계",
        "漢字とカタカナ、ひらがな123",
        "𠀀𠀁𪜀",
        "繁體中文 與 简体中文",
    ),
    "arabic": ("مرحبا بالعالم", "السَّلَامُ عَلَيْكُمْ", "العربية 123 English", "\u200fنص\u200e", "پارسی گویم"),
    "hindi": ("नमस्ते दुनिया", "क्षत्रिय ज्ञान श्री", "मैं २०२५ में हूँ।"),
    "thai": ("สวัสดีชาวโลก", "กำลังเรียนรู้ AI", "๑๒๓ บาท"),
    "other scripts": ("Привет, мир!", "Γειά σου Κόσμε", "שלום עולם", "ሰላም", "გამარჯობა", "Բարեւ", "வணக்கம்", "ᚠᚢᚦ", "𓀀𓂀"),
    "emoji": (
        "😀",
        "👨‍👩‍👧‍👦",
        "👩🏽‍🚀 in space",
        "🏳️‍🌈🏴‍☠️",
        "🇫🇷🇯🇵🇧🇷",
        "👍🏻👍🏿",
        "1️⃣2️⃣#️⃣",
        "❤️ vs ❤",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "a😀b 🎉🎉🎉",
    ),
    "control": (
        "a\0b",
        "\0",
        "\0\0\0",
        "x\r\ny\r\n",
        "\r",
        "\n\n\n",
        "\n\r\n\r",
        "tab\tbetween",
        "\t\t\tindented",
        "\x1b[31mred\x1b[0m",
        "a\x04b\x06c",
        "bell\x07",
        "\ufeffBOM",
    ),
    "blanks": (
        "",
        " ",
        "  ",
        "   ",
        " " * 64,
        "a    b",
        " leading",
        "   leading",
        "trailing ",
        "trailing   ",
        "both ",
        "line end \nnext",
        "a \n b \t c",
        "\u00a0nbsp\u00a0",
        "\u3000ideographic\u3000",
        "\u2003em\u200bzero\u2028line\u2029paragraph",
        "x\u0085y",
        "\n    def f():\n        return 1\n",
    ),
    "special text": (
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "a<|im_end|>b",
        " <|im_start|> user",
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|><|im_start|>",
        "<|im_start",
        "<|im_start|",
        "<||im_start|>",
        "<repo_name>x<file_sep>y",
        "<reponame><filename><gh_stars>5<issue_start>text<issue_comment>c<issue_closed>",
        "<jupyter_start><jupyter_text>t<jupyter_code>1+1<jupyter_output>2<jupyter_script><empty_output>",
        "<|IM_START|>",
        "é<|im_start|>é",
        "\0<|im_end|>\0",
    ),
    "code": (
        "def add(a, b):\n    return a + b\n",
        "for (int i = 0; i < 10; ++i) { sum += x[i]; }",
        '<div class="a">&nbsp;</div>',
        "SELECT * FROM t WHERE id=42;",
        "\\frac{1}{2} \\alpha_{ij}^{2}",
        "https://example.org/a?b=c&d=%20#frag",
        '{"key": [1, 2.5, null]}',
        "x = lambda n: n**2  # squares",
        "snake_case camelCase PascalCase SCREAMING_CASE",
    ),
    "long": (
        "pneumonoultramicroscopicsilicovolcanoconiosis",
        "Donaudampfschifffahrtsgesellschaftskapitän",
        "a" * 300,
        "ab" * 150,
        "!" * 100,
        "=" * 80,
        "1" * 100,
        "é" * 60,
        "हि" * 40,
        "word " * 50,
    ),
    "contractions": (
        "I'm you're he'd we'll they've it's can't",
        "I'M YOU'RE HE'D",
        "’s ’t don’t",
        "''s",
        "'tis 'twas",
        "o'clock",
    ),
    "combining": (
        "e\u0301",
        "n\u0303o\u0308",
        "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞",
        "\u0301",
        " \u0301",
        "ｆｕｌｌｗｉｄｔｈ",
        "ﬁ ligature",
        "İıŞß",
        "각각",
    ),
    "punctuation": ("...", "?!?!", "—–-‐", "“quoted” ‘single’", "a,b;c:d", "$100 £5 €20 ¥3", "±≈≠∞√∑", "†‡§¶©®™"),
}


def named_texts() -> list[tuple[str, str]]:
    """Hand-picked texts as (group, text), and one text for each of the first 256 code points."""
    texts = [("example", text) for text in EXAMPLES]
    texts += [("prose", PROSE)]
    texts += [(group, text) for group, members in _SCRIPTS.items() for text in members]
    for code_point in range(256):
        texts += [("code point", chr(code_point)), ("code point inside", f"a{chr(code_point)}1 {chr(code_point)}b")]
    return texts


def random_texts(count: int, seed: int) -> list[str]:
    """Strings of 1 to 12 code points from all of Unicode but the surrogates, unassigned ones included."""
    draw = random.Random(seed)
    everything = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    assigned = [c for c in everything if unicodedata.category(chr(c)) not in ("Cn", "Co")]
    pages = [list(page) for page in _pages(assigned).values()]
    by_category: dict[str, list[int]] = {}
    for code_point in assigned:
        by_category.setdefault(unicodedata.category(chr(code_point)), []).append(code_point)
    categories = sorted(by_category)
    ascii_code_points = list(range(128))

    def one_text() -> str:
        page = draw.choice(pages)
        pools = (everything, assigned, page, by_category[draw.choice(categories)], ascii_code_points)
        weights = draw.choice(((1, 0, 0, 0, 0), (0, 1, 0, 0, 0), (0, 0, 1, 0, 0), (1, 2, 2, 3, 3), (0, 0, 0, 3, 2)))
        return "".join(chr(draw.choice(draw.choices(pools, weights)[0])) for _ in range(draw.randint(1, 12)))

    return [one_text() for _ in range(count)]


def _pages(code_points: list[int]) -> dict[int, list[int]]:
    pages: dict[int, list[int]] = {}
    for code_point in code_points:
        pages.setdefault(code_point >> 8, []).append(code_point)
    return pages
