'use strict';
// Plays a plan (see plan.py) to every client, with Node's ws. Ends when its standard input ends.
// Says on standard output, one line of JSON each: the URL, every pong, and how a client closed.

const fs = require('fs');
const { WebSocketServer } = require('ws');

const name = process.argv[2];
const steps = JSON.parse(fs.readFileSync(`${name}.json`, 'utf8'));
const perMessageDeflate = JSON.parse(process.argv[3]);
const block = fs.readFileSync(`${name}.bytes`);

function say(what) {
	process.stdout.write(`${JSON.stringify(what)}\n`);
}

function sendMessage(client, take, binary, sizes, pingSize) {
	sizes.forEach((size, number) => {
		if (number && pingSize !== undefined)
			client.ping(take(pingSize));
		client.send(take(size), { binary, fin: number === sizes.length - 1 });
	});
}

// Close waits for the pongs, which would not be answered after it.
function closeAfterPongs(client, code, pings) {
	let missing = pings;
	const close = () => client.close(code);
	if (!missing)
		close();
	else
		client.on('pong', () => --missing || close());
}

// Sends so many messages back, which may have come already.
function echo(client, queue, count) {
	return new Promise((resolve) => {
		const next = () => {
			for (; count && queue.length; count--)
				client.send(...queue.shift());
			if (!count)
				resolve();
		};
		client.on('message', next);
		next();
	});
}

async function play(client) {
	const queue = [];
	client.on('message', (data, binary) => queue.push([data, { binary }]));
	let at = 0;
	let pings = 0;
	const take = (size) => block.subarray(at, at += size);
	for (const [kind, what, pingSize] of steps) {
		if (kind === 'text' || kind === 'binary') {
			sendMessage(client, take, kind === 'binary', what);
		} else if (kind === 'pinged') {
			sendMessage(client, take, false, what, pingSize);
			pings += what.length - 1;
		} else if (kind === 'ping') {
			client.ping(take(what));
			pings++;
		} else if (kind === 'pong') {
			client.pong(take(what));
		} else if (kind === 'echo') {
			await echo(client, queue, what);
		} else {
			closeAfterPongs(client, what, pings);
		}
	}
}

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate });
server.on('listening', () => say({ url: `ws://127.0.0.1:${server.address().port}/` }));
server.on('connection', (client) => {
	client.on('pong', (payload) => say({ pong: payload.toString('hex') }));
	client.on('close', (code) => say({ closed: code }));
	play(client);
});

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
