"use strict";
// Without this file the button does the same.
const how = document.getElementById("how");
const range = how.elements.diversity;
range.addEventListener("input", () => { how.querySelector("output").textContent = `${range.value} %`; });
how.addEventListener("change", () => { if (how.reportValidity()) how.requestSubmit(); });
