// Another map: of pixels as it is, of bins painted on their pixels.
const i = labels.indexOf(cb_obj.value);
const values = layers[i];
let painted = values;
if (!of_pixels[i]) {
  painted = new Float32Array(bin_map.length);
  for (let k = 0; k < painted.length; k++) painted[k] = bin_map[k] < 0 ? NaN : values[bin_map[k]];
}
const old = image.data.image[0];
old.set(painted);
mapper.setv({low: limits[i][0], high: limits[i][1], palette: palettes[names[i]]});
bar.title = labels[i];
image.change.emit();
