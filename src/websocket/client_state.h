/* What a client is made of: shared by client.c, which begins it, listens to its session and ends
 * it, and client_stream.c, which moves bytes between the session and the transport. */
#ifndef WEIR_WEBSOCKET_CLIENT_STATE_H
#define WEIR_WEBSOCKET_CLIENT_STATE_H

#include "websocket/client.h"
#include "websocket/keepalive.h"
#include "websocket/opening.h"
#include "websocket/session.h"

#define CLIENT_RECEIVE_SIZE MIB(1) /* measured: smaller and larger are slower */
#define CLIENT_SCRATCH KIB(1)	   /* in front of it, so that payloads can be moved down at once */

enum client_phase {
	CLIENT_DIALLING,
	CLIENT_CONNECTED,
	CLIENT_ENDED,
};

struct client {
	struct client_options options;
	struct loop *loop;
	struct transport *transport;
	struct session *session;
	struct loop_source source;
	struct loop_timer timer; /* of connecting, and of the end */
	struct loop_timer again; /* goes on with what is there */
	struct keepalive keepalive;
	struct opening opening;
	bool opening_failed;
	int opening_error;
	char opening_detail[SCRIPT_TEXT_SIZE];
	enum client_phase phase;
	uint32_t events; /* what the socket is waited for */
	bool paused;
	bool unfinished; /* the session has not taken all of `data` that it could */
	bool closing;	 /* the timer is that of the end */
	struct client_counters counters;
	uint64_t time_ns; /* when the last of `data` came, */
	bool kernel_time; /* as the kernel says */
	size_t fill;	  /* bytes in `data` */
	uint8_t scratch[CLIENT_SCRATCH];
	uint8_t data[CLIENT_RECEIVE_SIZE];
};

/* To be called after anything that may have changed the session or its output. */
int client_settle(struct client *client);

/* The socket is ready, or it is time to go on without it; a loop_callback. */
int client_stream_ready(void *data);

/* Begins or ends to wait for the socket, as there is need. */
int client_stream_watch(struct client *client);

/* Nothing more is done with it, and the owner is told why. Each may be called again. */
int client_finish(struct client *client);
int client_finish_as(struct client *client, enum client_end_kind kind);

/* Notes that the opening has failed, which is then what the end is by. */
void client_note_opening(struct client *client, int error);

#endif
