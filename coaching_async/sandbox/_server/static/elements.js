/* An element: its properties, then its children; text is never taken for HTML. */
function el(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined));
  return made;
}
const byId = id => document.getElementById(id);
