(function () {
  "use strict";
  var chart = document.getElementById("chart");
  var figure = JSON.parse(document.getElementById("figure").textContent);
  var coarse = window.matchMedia("(pointer: coarse)").matches;
  figure.layout.dragmode = coarse ? false : "zoom";
  Plotly.newPlot(chart, figure.data, figure.layout, {
    responsive: true,
    displaylogo: false,
    displayModeBar: coarse ? false : "hover",
    modeBarButtons: [["resetScale2d", "toImage"]],
    toImageButtonOptions: { format: "svg", filename: "lrpilot-run" },
  });
  // Paper has a width of its own.
  window.addEventListener("beforeprint", function () {
    Plotly.relayout(chart, { width: 680, height: 460 });
  });
  window.addEventListener("afterprint", function () {
    Plotly.relayout(chart, { width: null, height: figure.layout.height, autosize: true });
  });
})();
