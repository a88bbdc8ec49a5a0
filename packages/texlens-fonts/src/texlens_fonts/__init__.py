"""Engine scripts of TexLens, one a font of MathJax: `js/NAME.js`, made by tools/engine/fonts.mjs."""
