/*
 * Stores every message of a WebSocket and a newline in a temporary file: ws and fs.
 *
 * Messages are collected in one buffer and written when it is full: a write per message, or a stream,
 * costs several times as much. (bufferutil would not help: what a server sends is not masked. And
 * utf-8-validate is in Node itself now.)
 *
 * usage: node receive.js URL DIR
 *
 * Prints the number of messages and of payload bytes.
 */
'use strict';

const fs = require('fs');
const path = require('path');
const WebSocket = require('ws');

const BUFFER = 1 << 20;
const FILE_MAX = 64 << 20;
const NEWLINE = 10;

/* A temporary file that gives its space back whenever it has grown to FILE_MAX. */
class Store {
	constructor(directory) {
		this.directory = fs.mkdtempSync(path.join(directory, 'peer-node-'));
		this.file = fs.openSync(path.join(this.directory, 'messages'), 'wx+', 0o600);
		this.buffer = Buffer.allocUnsafe(BUFFER);
		this.used = 0;
		this.position = 0;
		this.messages = 0;
		this.bytes = 0;
	}

	write(data) {
		for (let done = 0; done < data.length;)
			done += fs.writeSync(this.file, data, done, data.length - done,
				this.position + done);
		this.position += data.length;
	}

	flush() {
		this.write(this.buffer.subarray(0, this.used));
		this.used = 0;
		if (this.position >= FILE_MAX) {
			fs.ftruncateSync(this.file);
			this.position = 0;
		}
	}

	add(payload) {
		if (this.used + payload.length >= BUFFER)
			this.flush();
		if (payload.length >= BUFFER)
			this.write(payload);
		else
			this.used += payload.copy(this.buffer, this.used);
		this.buffer[this.used++] = NEWLINE;
		this.messages++;
		this.bytes += payload.length;
	}

	close() {
		this.flush();
		fs.closeSync(this.file);
		fs.rmSync(this.directory, { recursive: true });
	}
}

function main(url, directory) {
	const store = new Store(directory);
	const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 0 });

	socket.on('message', (payload) => store.add(payload));
	socket.on('error', (error) => {
		console.error(`receive.js: ${error.message}`);
		process.exitCode = 1;
	});
	socket.on('close', () => {
		store.close();
		console.log(`${store.messages} ${store.bytes}`);
	});
}

main(...process.argv.slice(2));
