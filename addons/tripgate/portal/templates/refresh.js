"use strict";
(function wait() {
  setTimeout(function () {
    var typed = Array.prototype.some.call(document.querySelectorAll("input:not([type=hidden])"),
      function (one) { return one === document.activeElement || one.value !== one.defaultValue; });
    if (document.hidden || typed) { wait(); } else { location.reload(); }
  }, 1000 * Number(document.body.dataset.refresh));
})();
