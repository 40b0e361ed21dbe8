// The controls of a page: which runtimes are shown, what the verdict matrix compares, sorting, filtering and copying tables,
// reading values off charts, and downloading the record. The page is whole without them: everything here is made by this
// script, from what is already on the page. Nothing is computed here: other comparisons come from the block `choices`.
(() => {
  'use strict';

  // ---- Elements

  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
      else if (value !== false) element.setAttribute(name, value === true ? '' : value);
    }
    element.append(...children);
    return element;
  }

  const button = (text, onclick) => make('button', { type: 'button', onclick }, text);
  const live = make('div', { class: 'sr', role: 'status' });
  const say = (text) => { live.textContent = text; };

  // ---- The view in the address: #SECTION?hide=RUNTIME&metric=NAME&reference=RUNTIME&sort=TABLE.COLUMN.ORDER&filter=TABLE.TEXT

  const view = { section: '', hide: new Set(), metric: '', reference: '', sort: new Map(), filter: new Map() };

  function readAddress() {
    const [section, query = ''] = location.hash.slice(1).split('?');
    const parameters = new URLSearchParams(query);
    const byTable = (name) => new Map(parameters.getAll(name).map((text) => {
      const [, table, rest] = /^(\d+)\.(.*)$/s.exec(text) || [];
      return [Number(table), rest];
    }).filter(([table]) => table < tables.length));
    view.section = section;
    if (!location.hash.includes('?')) return false;
    view.hide = new Set(parameters.getAll('hide').filter((name) => runtimes.includes(name)));
    view.metric = parameters.get('metric') || '';
    view.reference = parameters.get('reference') || '';
    view.sort = byTable('sort');
    view.filter = byTable('filter');
    return true;
  }

  function writeAddress() {
    const parameters = new URLSearchParams();
    for (const name of view.hide) parameters.append('hide', name);
    if (view.metric) parameters.set('metric', view.metric);
    if (view.reference) parameters.set('reference', view.reference);
    for (const [table, order] of view.sort) parameters.append('sort', `${table}.${order}`);
    for (const [table, text] of view.filter) parameters.append('filter', `${table}.${text}`);
    const query = parameters.toString();
    const hash = view.section + (query && `?${query}`);
    try {
      history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);
    } catch { /* A page inside of another may not have an address of its own. */ }
  }

  /// The browser does not find a section whose name is followed by parameters.
  function goToSection() {
    const target = document.getElementById(decodeURIComponent(view.section));
    if (!target) return;
    for (let part = target.closest('details'); part; part = part.parentElement.closest('details')) part.open = true;
    target.scrollIntoView();
  }

  // ---- Runtimes: one rule hides a runtime in tables and charts

  const runtimes = [...new Set(all('[data-runtime]').map((element) => element.dataset.runtime))];
  const rules = make('style');
  const boxes = new Map();

  function showRuntimes() {
    const rule = (name) => `[data-runtime="${CSS.escape(name)}"] { display: none !important; }`;
    rules.textContent = [...view.hide].map(rule).join('\n');
    for (const [name, box] of boxes) box.checked = !view.hide.has(name);
  }

  function runtimeBox(name) {
    const box = make('input', { type: 'checkbox', onchange: () => {
      if (box.checked) view.hide.delete(name); else view.hide.add(name);
      showView();
      say(`${name} is ${box.checked ? 'shown' : 'hidden'}`);
    } });
    boxes.set(name, box);
    const marked = all('.swatch').find((swatch) => swatch.closest('[data-runtime]')?.dataset.runtime === name);
    return make('label', {}, box, ...(marked ? [marked.cloneNode(true)] : []), name);
  }

  // ---- The verdict matrix by another metric, or against another reference

  const matrix = one('table.matrix');
  const matrixRows = matrix ? all('tbody tr', matrix) : [];
  const asPlanned = new Map();
  let choices = null;
  let metricChoice = null;
  let referenceChoice = null;

  async function inflate(id) {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip')));
  }

  function compared(cell) {
    if (!cell) return { kind: 'absent', nodes: ['n/a'] };
    const [kind, glyph, ratio, interval, word] = cell;
    const bold = make('b', {}, ...(glyph ? [make('span', { class: 'glyph', 'aria-hidden': 'true' }, glyph), ' '] : []), ratio);
    const small = [[interval, ''], [word, 'word']].filter(([text]) => text);
    return { kind, nodes: [bold, ...small.map(([text, name]) => make('small', { class: name }, text))], ratio };
  }

  function showMatrix() {
    if (!matrix || !choices) return;
    const isPlanned = !view.metric && !view.reference;
    const caption = one('caption', matrix);
    matrix.classList.toggle('chosen', view.metric !== '');
    caption.textContent = isPlanned ? asPlanned.get(caption) : chosenCaption();
    matrixRows.forEach((row, index) => {
      const metric = view.metric || row.dataset.metric;
      const reference = view.reference || choices.rows[index].reference;
      const cells = choices.rows[index].cells[metric]?.[reference] || [];
      all('td[data-runtime]', row).forEach((field, column) => {
        const mark = one('.warned', field);
        const planned = asPlanned.get(field);
        const shown = isPlanned ? planned : compared(cells[column]);
        field.className = shown.kind;
        field.replaceChildren(...shown.nodes, ...(mark && !shown.nodes.includes(mark) ? [mark] : []));
        if (isPlanned && planned.value) field.dataset.value = planned.value;
        else if (shown.ratio) field.dataset.value = parseFloat(shown.ratio);
        else delete field.dataset.value;
      });
    });
    metricChoice.value = view.metric;
    referenceChoice.value = view.reference;
  }

  /// What all rows have in common, unless something is chosen.
  function chosenCaption() {
    const common = (values) => (new Set(values).size === 1 ? values[0] : undefined);
    const name = view.metric || common(matrixRows.map((row) => row.dataset.metric));
    const metric = choices.metrics.find((one) => one.name === name)?.label || 'The metric of each row';
    const reference = view.reference || common(choices.rows.map((row) => row.reference)) || "the row's reference";
    return choices.caption.replace('{metric}', metric).replace('{reference}', reference);
  }

  function choice(text, key, others) {
    const options = [['', 'as planned'], ...others];
    const select = make('select', { onchange: () => {
      view[key] = select.value;
      showView();
      say(one('caption', matrix).textContent);
    } }, ...options.map(([value, name]) => make('option', { value }, name)));
    return [select, make('label', {}, `${text} `, select)];
  }

  /// The choices of the matrix, if the page has others than the planned one.
  async function matrixChoices() {
    if (!matrix || !document.getElementById('choices') || !window.DecompressionStream) return [];
    choices = await (await inflate('choices')).json();
    asPlanned.set(one('caption', matrix), one('caption', matrix).textContent);
    for (const field of all('td[data-runtime]', matrix)) {
      asPlanned.set(field, { kind: field.className, nodes: [...field.childNodes], value: field.dataset.value });
    }
    if (!choices.metrics.some(({ name }) => name === view.metric)) view.metric = '';
    if (!choices.references.includes(view.reference)) view.reference = '';
    const metrics = choices.metrics.map(({ name, label }) => [name, label]);
    const references = choices.references.map((name) => [name, name]);
    const made = [choice('Metric', 'metric', metrics), choice('Reference', 'reference', references)];
    [metricChoice, referenceChoice] = made.map(([select]) => select);
    return made.map(([, label]) => label);
  }

  // ---- Tables: sorted by a column, filtered by text, copied

  const tables = all('.scroll > table').filter((table) => table.tBodies.length && all('tbody tr', table).length > 1);
  const FILTERED_FROM = 6;
  const UNITS = { ns: 1, µs: 1e3, ms: 1e6, s: 1e9, min: 6e10, k: 1e3, M: 1e6, G: 1e9, KiB: 1024, MiB: 1048576, GiB: 1073741824 };

  /// The rows of a table in the order of the report, by their body; some tables have headings among them.
  const inOrder = new Map();
  const isRow = (row) => row.className !== 'class';

  /// What a cell says, without its glyph: each part of it, the large print first.
  function text(cell) {
    const copy = cell.cloneNode(true);
    for (const silent of all('[aria-hidden], svg, button, .sr, .warned', copy)) silent.remove();
    for (const part of all('small, strong', copy)) part.prepend(' ');
    return copy.textContent.replace(/\s+/g, ' ').trim();
  }

  /// A number if the cell is one, or else its text; nothing of a cell without a value.
  function value(cell) {
    if (!cell) return null;
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const said = text(cell);
    if (['', '–', 'n/a', 'not planned'].includes(said)) return null;
    const [, number, unit] = /^[~≥+]?\s*(-?\d[\d.]*)\s*([a-zµA-Z]*)/.exec(said) || [];
    return number === undefined ? said : Number(number) * (UNITS[unit] || 1);
  }

  const order = new Intl.Collator('en', { numeric: true });
  const compare = (a, b) => (typeof a === 'number' && typeof b === 'number' ? a - b : order.compare(String(a), String(b)));

  function sortTable(number) {
    const table = tables[number];
    const [column, direction] = (view.sort.get(number) || '').split('.');
    all('thead th', table).forEach((heading, index) => {
      const sorted = direction && index === Number(column);
      if (sorted) heading.setAttribute('aria-sort', direction); else heading.removeAttribute('aria-sort');
      const glyph = one('button.sort', heading);
      if (glyph) glyph.textContent = !sorted ? '↕' : direction === 'ascending' ? '↑' : '↓';
    });
    const sign = direction === 'descending' ? -1 : 1;
    for (const body of table.tBodies) {
      if (!inOrder.has(body)) inOrder.set(body, [...body.rows]);
      const rows = inOrder.get(body);
      const keyed = rows.filter(isRow).map((row) => [direction ? value(row.cells[column]) : 0, row]);
      keyed.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : sign * compare(a, b)));
      body.append(...rows.filter((row) => !isRow(row)), ...keyed.map(([, row]) => row));
    }
  }

  function filterTable(number) {
    const wanted = (view.filter.get(number) || '').toLowerCase();
    const rows = all('tbody tr', tables[number]).filter(isRow);
    for (const row of rows) row.hidden = wanted !== '' && !row.textContent.toLowerCase().includes(wanted);
    return rows.filter((row) => !row.hidden).length;
  }

  /// Buttons in the headings; only one of them is a stop of the tab key, and arrows lead to the others.
  function addSorting(number) {
    const headings = all('thead th', tables[number]);
    const buttons = headings.map((heading, column) => {
      const name = text(heading);
      const sort = button('↕', () => {
        const [by, direction] = (view.sort.get(number) || '').split('.');
        const next = Number(by) !== column || !direction ? 'ascending' : direction === 'ascending' ? 'descending' : '';
        if (next) view.sort.set(number, `${column}.${next}`); else view.sort.delete(number);
        sortTable(number);
        writeAddress();
        say(next ? `Sorted by ${name}, ${next}` : 'In the order of the report');
      });
      sort.className = 'sort';
      sort.setAttribute('aria-label', `Sort by ${name}`);
      sort.tabIndex = column ? -1 : 0;
      heading.append(' ', sort);
      return sort;
    });
    tables[number].tHead.addEventListener('keydown', (event) => rove(event, buttons));
  }

  function rove(event, stops) {
    const now = stops.indexOf(document.activeElement);
    const next = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: stops.length - 1 }[event.key];
    if (now < 0 || !stops[next]) return;
    stops[now].tabIndex = -1;
    stops[next].tabIndex = 0;
    stops[next].focus();
    event.preventDefault();
  }

  const isShown = (element) => element.getClientRects().length > 0;

  function grid(table) {
    const rows = [...table.rows].filter((row) => isShown(row) && isRow(row));
    return rows.map((row) => [...row.cells].filter(isShown).map(text));
  }

  function markdown(table) {
    const [head, ...rows] = grid(table).map((row) => row.map((cell) => cell.replace(/[\\|]/g, '\\$&')));
    const line = (cells) => `| ${cells.join(' | ')} |`;
    return [line(head), line(head.map((_, index) => (index ? '--:' : '---'))), ...rows.map(line)].join('\n') + '\n';
  }

  /// A text that a spreadsheet would take for a formula begins with an apostrophe.
  function csv(table) {
    const safe = (cell) => (/^[=+\-@\t]/.test(cell) && Number.isNaN(Number(cell)) ? `'${cell}` : cell);
    const quoted = (cell) => (/[",\n]/.test(cell) ? `"${cell.replace(/"/g, '""')}"` : cell);
    return grid(table).map((row) => row.map((cell) => quoted(safe(cell))).join(',')).join('\r\n') + '\r\n';
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = make('textarea', { class: 'sr', 'aria-hidden': 'true' }, text);
      const before = document.activeElement;
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
      before.focus();
    }
    say('Copied');
  }

  function addTools(number) {
    const table = tables[number];
    const name = table.parentElement.getAttribute('aria-label');
    const summary = make('summary', { 'aria-label': `Filter or copy: ${name}` }, 'Filter or copy');
    const tools = make('details', { class: 'tools' }, summary);
    if (all('tbody tr', table).length >= FILTERED_FROM) {
      const filter = make('input', { type: 'search', oninput: () => {
        if (filter.value) view.filter.set(number, filter.value); else view.filter.delete(number);
        say(`${filterTable(number)} rows`);
        writeAddress();
      } });
      tools.append(make('label', {}, 'Filter ', filter));
    }
    tools.append(button('Copy as Markdown', () => copy(markdown(table))), button('Copy as CSV', () => copy(csv(table))));
    table.parentElement.before(tools);
  }

  function showTables() {
    tables.forEach((table, number) => {
      if (view.sort.has(number) || one('[aria-sort]', table)) sortTable(number);
      const filter = one('input', table.parentElement.previousElementSibling);
      if (!filter || filter.value === (view.filter.get(number) || '')) return;
      filter.value = view.filter.get(number) || '';
      filter.closest('details').open = filter.value !== '';
      filterTable(number);
    });
  }

  // ---- Charts: values under the pointer, and by arrow keys

  const tip = make('div', { class: 'tip', hidden: true, 'aria-hidden': 'true' });
  const values = new WeakMap();
  let pointed = null;

  /// The browser would show the title, too, so it is taken out of the chart.
  function valueOf(area) {
    const title = one('title', area);
    if (title) { values.set(area, title.textContent); title.remove(); }
    return values.get(area);
  }

  function point(area) {
    pointed?.removeAttribute('stroke');
    pointed = area;
    tip.hidden = !area;
    if (!area) return;
    tip.textContent = valueOf(area);
    area.setAttribute('stroke', 'currentColor');
    const box = area.getBoundingClientRect();
    const left = box.left + box.width / 2 - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(4, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${box.top > tip.offsetHeight + 8 ? box.top - tip.offsetHeight - 4 : box.bottom + 4}px`;
  }

  const AREAS = 'figure svg g[pointer-events] rect';

  function readChart(event) {
    const chart = event.target.closest?.('figure svg');
    if (!chart || event.target !== chart) return;
    const areas = all('g[pointer-events] rect', chart).filter(isShown);
    const now = areas.indexOf(pointed);
    const [last, next, before] = [areas.length - 1, now + 1, now < 0 ? areas.length - 1 : now - 1];
    const index = { ArrowRight: next, ArrowDown: next, ArrowLeft: before, ArrowUp: before, Home: 0, End: last }[event.key];
    if (event.key === 'Escape') point(null);
    if (index === undefined || !areas.length) return;
    point(areas[Math.max(0, Math.min(index, last))]);
    say(tip.textContent);
    event.preventDefault();
  }

  function addCharts() {
    const help = make('p', { class: 'sr', id: 'chart-keys' }, 'Arrow keys read the values of a chart.');
    one('main').append(help);
    document.body.append(tip);
    for (const chart of new Set(all(AREAS).map((area) => area.ownerSVGElement))) {
      chart.setAttribute('tabindex', '0');
      chart.setAttribute('aria-describedby', help.id);
    }
    document.addEventListener('pointerover', ({ target }) => point(target.matches?.(AREAS) ? target : null));
    document.addEventListener('keydown', readChart);
    document.addEventListener('focusout', () => point(null));
    document.addEventListener('scroll', () => point(null), { passive: true });
  }

  // ---- The record

  async function download() {
    const name = `${one('[data-run]').dataset.run}.json`;
    const text = document.getElementById('record').textContent;
    let [blob, ending] = [new Blob([Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]), '.gz'];
    if (window.DecompressionStream) [blob, ending] = [await (await inflate('record')).blob(), ''];
    const link = make('a', { href: URL.createObjectURL(blob), download: name + ending });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    say(`${link.download} is downloaded`);
  }

  // ---- All of it

  function showView() {
    showRuntimes();
    showMatrix();
    showTables();
    writeAddress();
  }

  function reset() {
    Object.assign(view, { hide: new Set(), metric: '', reference: '', sort: new Map(), filter: new Map() });
    showView();
    say('As the report was made');
  }

  async function start() {
    tables.forEach((_, number) => { addTools(number); addSorting(number); });
    addCharts();
    document.head.append(rules);
    document.body.append(live);
    const isChosen = readAddress();
    const controls = make('details', { class: 'view', open: isChosen }, make('summary', {}, 'Choose what is shown'));
    if (runtimes.length > 1) {
      controls.append(make('fieldset', {}, make('legend', {}, 'Runtimes'), ...runtimes.map(runtimeBox)));
    }
    controls.append(...await matrixChoices(), button('Reset', reset));
    if (document.getElementById('record')) controls.append(button('Download the record', download));
    one('main').prepend(controls);
    showView();
    if (isChosen) goToSection();
    addEventListener('hashchange', () => { if (readAddress()) { showView(); goToSection(); } else writeAddress(); });
    document.documentElement.dataset.controls = 'ready';
  }

  start();
})();
