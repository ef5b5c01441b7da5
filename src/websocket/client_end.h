/* How a connection ended. */
#ifndef WEIR_WEBSOCKET_CLIENT_END_H
#define WEIR_WEBSOCKET_CLIENT_END_H

#include "websocket/redirect.h"
#include "websocket/transport.h"
#include "websocket/violation.h"

#define CLIENT_DETAIL_SIZE 512
#define CLIENT_PLACE_SIZE 256

enum client_end_kind {
	CLIENT_CLOSED,	      /* both sides said Close, or we gave up connecting: close_code 0 */
	CLIENT_CLOSE_TIMEOUT, /* we said Close, the server did not answer in time */
	CLIENT_LOST,	      /* the stream ended without Close: error 0, or −errno */
	CLIENT_VIOLATED,      /* the server broke the protocol: violation */
	CLIENT_DIAL,	      /* no connection: transport_error, detail */
	CLIENT_TIMEOUT,	      /* not open within the connect time-out */
	CLIENT_REFUSED,	      /* no upgrade: handshake_error, response */
	CLIENT_HANGUP,	      /* the stream ended during the handshake: error 0, or −errno */
	CLIENT_SILENT,	      /* no answer to a Ping in time */
	CLIENT_IDLE,	      /* no message in time */
	CLIENT_OPENING,	   /* what was said first had not the answer that it wants: error, detail */
	CLIENT_UNPREPARED, /* what is needed to log in could not be had: detail */
};

struct client_end {
	enum client_end_kind kind;
	int error;
	uint16_t close_code; /* from the server, 0 if none came, CLOSE_NO_CODE if it held none */
	bool cut;	     /* in the middle of a message */
	uint64_t cut_bytes;  /* payload of that message that had come */
	enum frame_violation violation;
	enum transport_error transport_error;
	enum handshake_error handshake_error;
	struct handshake_response response;
	enum redirect_error redirect_error; /* why a redirect was not followed; 0: none was to be */
	char place[CLIENT_PLACE_SIZE];	 /* where those led that were, to be shown; "": nowhere */
	char detail[CLIENT_DETAIL_SIZE]; /* libcurl's words, or the reason in the Close frame */
};

/* Whether another attempt may have another end, without anything being changed here: a server that
 * is overloaded or gone may come back, one that knows us and says no will say it again. */
bool client_end_is_passing(const struct client_end *end);

#endif
