// Sliders choose tiles of an atlas. Whoever runs no script has the table below them.
for (const explorer of document.querySelectorAll(".explorer")) {
  const places = explorer.dataset.places.split(" ").map(Number);
  const columns = Number(explorer.dataset.columns);
  const face = explorer.querySelector(".explorer-face");
  const output = explorer.querySelector("output");
  const sliders = [...explorer.querySelectorAll("input")].map((input) => ({
    input,
    stride: Number(input.dataset.stride),
    words: input.dataset.words.split("|"),
    source: input.parentElement.querySelector(".explorer-source"),
  }));

  // A slider before its first position follows the first slider.
  const chosen = ({ input }) => (input.valueAsNumber < 0 ? sliders[0].input : input).valueAsNumber;

  const turn = (tile, positions, words) => {
    const number = places[positions.reduce((sum, at, i) => sum + at * sliders[i].stride, 0)];
    tile.style.setProperty("--column", number % columns);
    tile.style.setProperty("--row", Math.floor(number / columns));
    tile.setAttribute("aria-label", words);
  };

  const show = () => {
    const positions = sliders.map(chosen);
    const words = sliders.map(({ input, words }) => words[input.value - input.min]);
    turn(face, positions, words.join(", "));
    output.textContent = words.join(", ");
    sliders.forEach(({ input, source }, i) => {
      input.setAttribute("aria-valuetext", words[i]);
      if (source) {
        const own = positions.map((at, j) => (sliders[j].source ? positions[i] : at));
        turn(source, own, `the source: seed ${positions[i]}`);
      }
    });
  };

  explorer.addEventListener("input", show);
  explorer.querySelector(".explorer-bench").hidden = false;
  show();
}
