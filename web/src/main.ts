void import("./app").then(({ showPage }) => {
  const place = document.querySelector("#root");
  if (place) showPage(place);
});
