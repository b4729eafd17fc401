// RAGFlow keeps the session token of a signed-in person in local storage, where no link takes it along. So the page
// asks for itself again with it. The token goes to this same address alone.
(async () => {
  const token = localStorage.getItem("Authorization");
  if (!token) return;
  const answer = await fetch(location.href, {
    headers: { Authorization: token, Accept: "text/html" },
    credentials: "same-origin",
    cache: "no-store",
  });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = page.title;
  document.body.replaceWith(page.body);
})();
