// A click on the map chooses the bin of the pixel under it.
const column = Math.floor((cb_obj.x - left) / width * n_x);
const row = Math.floor((cb_obj.y - bottom) / height * n_y);
if (column >= 0 && column < n_x && row >= 0 && row < n_y) {
  const n = bin_map[row * n_x + column];
  if (n >= 0) spinner.value = n;
}
