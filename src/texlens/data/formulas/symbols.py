"""Symbols by class: which symbols can replace each other, and how often recombination does so.

Of symbols that render the same, or nearly (``\\ast`` and ``*``, ``\\mid`` and ``|``), only one is in
a class: a picture must have one answer.
"""

from __future__ import annotations

import string
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SymbolClass:
    """Symbols of one kind. ``renamed``: how often a formula's symbol is swapped for another."""

    members: tuple[str, ...]
    renamed: float


def _class(symbols: str, renamed: float) -> SymbolClass:
    return SymbolClass(tuple(symbols.split()), renamed)


LOWER = SymbolClass(tuple(string.ascii_lowercase), 0.5)
UPPER = SymbolClass(tuple(string.ascii_uppercase), 0.5)
DIGITS = SymbolClass(tuple(string.digits), 0.35)
GREEK = _class(
    r"""\alpha \beta \gamma \delta \epsilon \varepsilon \zeta \eta \theta \vartheta \iota \kappa
    \lambda \mu \nu \xi \pi \varpi \rho \varrho \sigma \varsigma \tau \upsilon \phi \varphi \chi
    \psi \omega \ell \hbar \imath \jmath \aleph \wp""",
    0.5,
)
GREEK_UPPER = _class(
    r"""\Gamma \Delta \Theta \Lambda \Xi \Pi \Sigma \Upsilon \Phi \Psi \Omega \nabla \partial""",
    0.4,
)
COMPARISONS = _class(
    r"""= \equiv \sim \simeq \approx \cong \leq \geq \neq \propto < > \ll \gg \doteq \asymp \prec
    \succ \lesssim \gtrsim \triangleq \leqslant \geqslant""",
    0.08,
)
MEMBERSHIPS = _class(
    r"""\in \subset \subseteq \supset \supseteq \ni \notin \perp \vdash \models \nsubseteq
    \sqsubseteq""",
    0.2,
)
ARROWS = _class(
    r"""\rightarrow \longrightarrow \Rightarrow \mapsto \longmapsto \leftrightarrow \leftarrow
    \Longrightarrow \Leftrightarrow \Longleftrightarrow \hookrightarrow \uparrow \downarrow
    \rightharpoonup \leftharpoonup \rightleftharpoons \nearrow""",
    0.12,
)
BINARY = _class(
    r"""+ - \pm \mp \times \cdot \otimes \oplus \wedge \vee \cup \cap \circ \star \bullet \setminus
    \div \odot \ominus \amalg \sqcup / *""",
    0.06,
)
BIG_OPERATORS = _class(
    r"\sum \prod \int \oint \bigoplus \bigotimes \bigcup \bigcap \coprod \iint \iiint", 0.1
)
ACCENTS = _class(r"\hat \bar \tilde \vec \dot \ddot \check \breve \acute \grave \mathring", 0.3)
WIDE_ACCENTS = _class(r"\widehat \widetilde \overline \underline \overrightarrow", 0.3)
ALPHABETS = _class(r"\mathbf \mathcal \mathbb \mathsf \mathfrak \mathscr", 0.2)
FUNCTIONS = _class(
    r"""\sin \cos \tan \cot \sec \csc \sinh \cosh \tanh \coth \exp \log \ln \det \arg \dim \ker
    \deg \arcsin \arccos \arctan""",
    0.4,
)
LIMITS = _class(r"\lim \max \min \sup \inf \limsup \liminf", 0.3)
DOTS = _class(r"\ldots \cdots \vdots \ddots", 0.1)
CONSTANTS = _class(r"\infty \emptyset \forall \exists \dagger \prime \Re \Im \neg \top", 0.15)

CLASSES = (
    LOWER, UPPER, DIGITS, GREEK, GREEK_UPPER, COMPARISONS, MEMBERSHIPS, ARROWS, BINARY,
    BIG_OPERATORS, ACCENTS, WIDE_ACCENTS, ALPHABETS, FUNCTIONS, LIMITS, DOTS, CONSTANTS,
)  # fmt: skip
CLASS_OF: dict[str, SymbolClass] = {s: group for group in CLASSES for s in group.members}
RELATIONS = COMPARISONS.members + MEMBERSHIPS.members + ARROWS.members
