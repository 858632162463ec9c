// Show one bin: slice what is embedded; nothing is computed here.
const n = Math.round(spinner.value);
if (Number.isFinite(n) && n >= 0 && n < notes.length) {
  const part = (bank, size) => bank.slice(n * size, (n + 1) * size);
  const bands = wave.length, times = time.length;
  const sed_new = {wave: wave, band: bands_names};
  for (const [name, bank] of Object.entries(sed_banks)) sed_new[name] = part(bank, bands);
  sed.data = sed_new;
  flux_range.setv({start: low[n], end: high[n]});
  residual_range.setv({start: -reach[n], end: reach[n]});
  if (times > 0) {
    const rates = part(rate, 3 * times);
    history.data = {
      time: time,
      low: rates.slice(0, times),
      middle: rates.slice(times, 2 * times),
      high: rates.slice(2 * times),
    };
  }
  const rows = results.map(([name, unit], i) => {
    const at = 3 * (i * notes.length + n);
    const [a, b, c] = [quantiles[at], quantiles[at + 1], quantiles[at + 2]];
    const cells = Number.isFinite(b)
      ? [b.toFixed(3).replace("-", "−"), "−" + (b - a).toFixed(3), "+" + (c - b).toFixed(3)]
      : ["–", "", ""];
    return `<tr><th scope="row">${name}</th>`
      + cells.map((text) => `<td>${text}</td>`).join("") + `<td>${unit}</td></tr>`;
  });
  table.text = `<p><b>Bin ${n}</b> · ${notes[n]}</p>` + head + rows.join("") + "</table>";
  const of = edges.slice(4 * first[n], 4 * first[n + 1]);
  const ends = {x0: [], y0: [], x1: [], y1: []};
  for (let i = 0; i < of.length; i += 4) {
    ends.x0.push(of[i]); ends.y0.push(of[i + 1]); ends.x1.push(of[i + 2]); ends.y1.push(of[i + 3]);
  }
  outline.data = ends;
}
