// GETs by node:http for 0.3 s and then for SECONDS, one at a time on each of the sessions.
const http = require('node:http');

const [url, sessions, seconds] = process.argv.slice(2);
const { hostname: host, port, pathname: path } = new URL(url);
const agent = new http.Agent({ keepAlive: true, maxSockets: Number(sessions), timeout: 10_000 });

function get() {
    return new Promise((resolve, reject) => {
        http.get({ host, port, path, agent }, (response) => {
            const parts = [];
            response.on('data', (part) => parts.push(part));
            response.on('end', () => (response.statusCode === 200 ? resolve(Buffer.concat(parts)) : reject(new Error('status'))));
            response.on('error', reject);
        }).on('error', reject);
    });
}

async function phase(lengthMs, expected) {
    const start = performance.now();
    let ops = 0;
    const session = async () => {
        while (performance.now() - start < lengthMs) {
            if (!(await get()).equals(expected)) throw new Error('other content');
            ops += 1;
        }
    };
    const cpu = process.cpuUsage();
    await Promise.all(Array.from({ length: Number(sessions) }, session));
    const { user, system } = process.cpuUsage(cpu);
    return { operations: ops, rate_hz: (ops / (performance.now() - start)) * 1e3, cpu_ns_per_op: ((user + system) * 1e3) / ops };
}

(async () => {
    const expected = await get();
    await phase(300, expected);
    console.log(JSON.stringify(await phase(Number(seconds) * 1e3, expected)));
    agent.destroy();
})();
