/* libweir: captures a WebSocket stream into temporary files and hands them on.
 *
 *	struct weir_capture *capture = NULL;
 *	struct weir_source source = {.url = "ws://127.0.0.1:9001/"};
 *	struct weir_capture_options options = {
 *		.sources = &source,
 *		.source_count = 1,
 *		.to = WEIR_TO_CALLBACK,
 *		.on_segment = count_lines,
 *	};
 *	enum weir_outcome r = weir_capture_new(&options, &capture);
 *	if (r == WEIR_DONE)
 *		r = weir_capture_run(capture);
 *	if (r != WEIR_DONE)
 *		fprintf(stderr, "%s\n", weir_capture_message(capture));
 *	weir_capture_free(capture);
 *
 * What arrives goes into segments: files in a directory, the spool, of which docs/format.md tells
 * the form. A segment that is full is handed on, and deleted when whoever got it says that it is
 * done with it. What was not handed on stays on the disk.
 *
 * Sizes are bytes, times nanoseconds. In options, 0 or NULL is the default of each. The library
 * never prints, exits or installs a signal handler; SIGPIPE should be ignored by who uses
 * WEIR_TO_STREAM with a pipe. */
#ifndef WEIR_H
#define WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_API __attribute__((visibility("default")))

#define WEIR_SOURCES_MAX 256 /* of one capture */

/* The version of the library, "1.2.3". Never freed. */
WEIR_API const char *weir_version(void);

/* How a capture ended; the command's exit code is the same number. Where two are true, the larger
 * one is told. */
enum weir_outcome {
	WEIR_DONE = 0,		/* all that was captured was handed on, or stays as was asked */
	WEIR_KEPT = 1,		/* some segments were not done with: they are still in the spool,
				   or lost, if it was ephemeral */
	WEIR_USAGE = 2,		/* an option cannot be right */
	WEIR_NOT_CONNECTED = 3, /* no connection, or no WebSocket at the other end of it */
	WEIR_BROKEN = 4,	/* the connection was lost, or the server broke the protocol */
	WEIR_STORAGE = 5,	/* the spool could not be opened, or written to */
	WEIR_ABORTED = 6,	/* weir_capture_stop() was called twice */
};

/* A segment that is handed on. Strings and struct are valid during the call alone. */
struct weir_segment {
	const char *spool; /* absolute paths: of the directory (NULL: options.ephemeral), */
	const char *data;  /* the payloads, each followed by a newline, */
	const char *index; /* and what is known of each of them */
	int data_fd;	   /* where files have no names (options.ephemeral, and of segments */
	int index_fd;	   /* that were compressed): both, open for reading; else -1 */
	uint64_t first_seq;
	uint64_t last_seq;
	uint64_t messages;
	uint64_t bytes;		/* of the payloads */
	uint64_t first_time_ns; /* when the first and last message came, since 1970 */
	uint64_t last_time_ns;
};

/* Where segments go. */
enum weir_destination {
	WEIR_TO_SPOOL = 0, /* nowhere: they stay */
	WEIR_TO_COMMAND,   /* options.command, run once for each, one after the other */
	WEIR_TO_CALLBACK,  /* options.on_segment */
	WEIR_TO_STREAM, /* options.stream_fd gets the data as it is captured, before it is sealed */
};

/* Which addresses of a host are tried. */
enum weir_family {
	WEIR_ANY_FAMILY = 0,
	WEIR_IPV4,
	WEIR_IPV6,
};

/* What ended a capture. */
enum weir_end {
	WEIR_END_NONE = 0, /* nothing yet */
	WEIR_END_LIMIT,	   /* messages_max, bytes_max or duration_ns */
	WEIR_END_STOP,	   /* weir_capture_stop() */
	WEIR_END_SERVER,   /* the server closed in good order */
	WEIR_END_READER,   /* who read the stream of WEIR_TO_STREAM went away */
	WEIR_END_FAILURE,  /* what the outcome says, WEIR_USAGE or higher */
};

/* When what is captured is made durable: safe from a loss of power, and not only from the death of
 * the process. All but the first do it for a segment that is sealed, too, and hand segments on to a
 * command or a callback when they are durable. */
enum weir_sync {
	WEIR_SYNC_NONE = 0, /* when the system writes it to the disk by itself */
	WEIR_SYNC_INTERVAL, /* every sync_interval_ns */
	WEIR_SYNC_BYTES,    /* every sync_bytes; reading waits at twice as much */
	WEIR_SYNC_SEAL,	    /* when a segment is sealed */
	WEIR_SYNC_EVERY,    /* whatever was read, before more is */
};

/* What is going on, and what went on. */
struct weir_stats {
	uint64_t elapsed_ns;	   /* since weir_capture_run() */
	uint64_t messages;	   /* captured */
	uint64_t bytes;		   /* of their payloads */
	uint64_t wire_bytes;	   /* received, frame headers and control frames too */
	uint64_t segments;	   /* sealed */
	uint64_t acked;		   /* segments done with, and deleted */
	uint64_t kept;		   /* segments not done with */
	uint64_t backlog_segments; /* sealed, still to be handed on */
	uint64_t disk_bytes;	   /* held by the spool now */
	uint64_t disk_peak_bytes;  /* the most it ever held */
	uint64_t cut_bytes;	   /* of messages that the ends of connections tore off */
	uint16_t close_code;	   /* the server's; 0: none, 1005: a Close without a code */
	uint64_t dropped_messages; /* for want of room, see enum weir_on_full, */
	uint64_t dropped_bytes;	   /* and their payloads */
	uint64_t lost_events;	   /* events that are not in the spool for want of room */
	uint64_t duplicates;	   /* messages that were dropped as such */
	uint64_t gaps, missing;	   /* holes in the numbers, and how many are missing in all */
	uint64_t keyed, keyless;   /* messages that have a value at unique_key, or have none, */
	uint64_t numbered;	   /* and a number at sequence, */
	uint64_t numberless;	   /* or none */
	uint64_t connections;	   /* that were opened */
	uint64_t failures;	   /* attempts that did not become one */
	size_t connected;	   /* sources that have an open connection now */
	bool blocked;		   /* not reading, until there is room: see enum weir_on_full */
	bool compresses;	   /* there is compression, and the next two count: */
	uint64_t compressed;	   /* segments that were, */
	uint64_t compress_failed;  /* or could not be, and are as they were */
	bool synced;		   /* there is sync, and the next two are counted */
	/* Of those captured, what no loss of power can take any more: synced, or acknowledged or
	 * dropped since. They never run ahead, and never go back. */
	uint64_t durable_messages;
	uint64_t durable_bytes;
	enum weir_end end;
};

enum weir_source_state {
	WEIR_SOURCE_CONNECTING, /* or waiting for the next attempt */
	WEIR_SOURCE_CONNECTED,
	WEIR_SOURCE_ENDED, /* nothing more is tried */
};

/* The same of one source. */
struct weir_source_stats {
	const char *url;	      /* without its query, which may hold secrets */
	enum weir_source_state state; /* as it was when the capture began to end, if it did */
	uint64_t messages;	      /* of it that were captured */
	uint64_t bytes;
	uint64_t connections; /* that were opened */
	uint64_t failures;    /* attempts that did not become one */
	const char *error;    /* what went wrong last, for people; "": nothing did */
};

/* What is done where there is no room: at disk_max or min_free, or when the disk, or a quota, is
 * full. */
enum weir_on_full {
	WEIR_FULL_BLOCK, /* nothing is read until there is, and the server has to wait. At disk_max
			    with nothing being processed, the capture ends: WEIR_STORAGE */
	WEIR_FULL_DROP_OLDEST, /* the oldest sealed segments that are not being processed go, also
				  those that were kept; if there is none, as above */
	WEIR_FULL_DROP_NEWEST, /* messages that come are dropped, until there is room. Both kinds of
				  drops are gap events in the spool, and counted */
	WEIR_FULL_STOP,	       /* the capture ends: WEIR_STORAGE; what was captured is handed on */
};

/* For options of a limit or a time: none, where 0 is a default. */
#define WEIR_UNLIMITED UINT64_MAX

/* A source: one WebSocket endpoint, and how to talk to it. */
struct weir_source {
	const char *url;	    /* ws[s]://HOST[:PORT][/PATH][?QUERY] */
	const char *const *headers; /* "Name: value", added to the request */
	size_t header_count;
	const char *const *subprotocols; /* offered, the one that is wanted most first */
	size_t subprotocol_count;
	const char *user_agent;	    /* "weir/VERSION" */
	const char *origin;	    /* none */
	const char *basic;	    /* "USER:PASSWORD", sent as Authorization: Basic, */
	const char *bearer;	    /* or a token, sent as Authorization: Bearer, */
	char *const *token_command; /* or a command that prints the token, one line: run before
				       each attempt to connect, for connect_timeout_ns at most. It
				       ends with NULL. One that fails is a failed attempt */

	/* What is said first on each connection: a script (weir-script(5) tells how they look), and
	 * text messages, or "@FILE" for what a file holds. */
	const char *script; /* a path */
	const char *const *sends;
	size_t send_count;

	uint64_t connect_timeout_ns; /* 30 s, up to the open WebSocket */

	/* Staying connected. A connection is dead when nothing follows on a Ping within its
	 * time-out, or no message comes within the idle time-out. */
	uint64_t ping_interval_ns; /* of silence, before a Ping is sent (30 s) */
	uint64_t pong_timeout_ns;  /* 30 s */
	uint64_t idle_timeout_ns;  /* none */
	uint64_t beat_interval_ns; /* how often `beat` is sent as a text message (never) */
	const char *beat;
	bool reconnect;		    /* after every end that another attempt may change */
	uint64_t retry_first_ns;    /* the first wait is at most this (1 s), twice that the next */
	uint64_t retry_max_ns;	    /* and so on, up to this (60 s); drawn evenly from 0. They begin
				       anew behind a connection that brought messages, and lived
				       for 10 s, or this if it is less */
	uint64_t retry_attempts;    /* give up when so many in a row have failed (no limit) */
	uint64_t retry_time_ns;	    /* or after so long without a message (no limit) */
	uint64_t connection_age_ns; /* a connection is replaced by a new one at this age (never) */

	/* Limits, beyond which the connection ends with code 1009 or 1008. */
	uint64_t message_max;	/* bytes of a message, uncompressed (4 GiB) */
	uint64_t fragments_max; /* frames of a message (16 Mi) */
	uint64_t ratio_max;	/* how much smaller a compressed message may be (no limit) */
	bool no_compression;	/* permessage-deflate is not offered */

	const char *cacert;	  /* who is trusted with wss://, in place of the system's store; */
	const char *cert;	  /* our own certificate; each a PEM file, */
	const char *key;	  /* with its key in the same file, or in this one, */
	const char *key_password; /* which this opens, if it is encrypted */
	bool insecure;		  /* take any certificate: whoever is in between can read all */

	const char *proxy; /* [SCHEME://]HOST[:PORT], a scheme of http, https, socks5 or socks5h;
			      NULL: as the environment says; "": none */
	const char
		*proxy_user; /* "USER:PASSWORD": not in `proxy`, but it may be in the environment */
	const char *no_proxy; /* hosts to reach without it; NULL: as the environment says */

	const char *unix_socket; /* a path, or "@NAME": dialled in place of host and port */
	enum weir_family family;

	/* A server may send us elsewhere, at most 10 times in a row, and never from wss to ws. What
	 * is meant for it alone (headers, credentials, our certificate) does not go to another
	 * scheme, host or port, nor anywhere from there; a script with ${env:…} or ${file:…} in it,
	 * and unix_socket, keep us from going there. Each attempt begins at `url` again. */
	bool follow_redirects;
};

/* What became of a connection. Strings and struct are valid during the call alone. */
struct weir_connection {
	size_t source;		   /* which one of the sources */
	const char *url;	   /* its URL, without the query */
	const char *redirected_to; /* where redirects led, without the query; "": nowhere */
	bool connected;		   /* it was opened; else it ended, or could not be made */
	bool wanted;		   /* it ended because we wanted it to */
	bool retries;		   /* the next attempt comes in `next_in_ns` */
	uint64_t next_in_ns;
	const char *message; /* why, for people; "" if there is nothing to complain of */
};

struct weir_capture_options {
	const struct weir_source *sources; /* one or more, up to WEIR_SOURCES_MAX */
	size_t source_count;

	/* Redundant sources of one feed, four at most: a message that another one brought already
	 * is dropped. The same are those with the same payload, or with the same JSON value at the
	 * place to which a JSON pointer leads (RFC 6901). 2^20 different ones are remembered. */
	bool unique;
	const char *unique_key;

	/* Where messages have a number that counts up by one, a JSON pointer: holes become gap
	 * events. */
	const char *sequence;

	const char *spool;  /* a directory to keep the spool in, made when it is missing; NULL: a */
	const char *dir;    /* temporary one in here (tempfile_gettempdir()), whose name begins */
	const char *prefix; /* with this ("weir-") */
	const char *suffix; /* and ends with this */

	/* Files without names, on the disk of `dir`: gone with the process, however it ends. What
	 * was not handed on by then is lost. Not for WEIR_TO_SPOOL, nor with spool, prefix or
	 * suffix. */
	bool ephemeral;

	uint64_t segment_bytes;	   /* a segment is sealed at this size (64 MiB), */
	uint64_t segment_messages; /* with so many messages (no limit), */
	uint64_t segment_age_ns;   /* or at this age (no limit) */
	uint64_t disk_max;	   /* disk space of all segments (no limit); at it, reading stops */

	uint64_t min_free;	   /* of the disk, stays free (0) */
	enum weir_on_full on_full; /* what is done at these, or when the disk is full (block) */

	/* Segments that wait are compressed, by zstd at this level, from 1 to 19 (not at all). Who
	 * gets one that was gets it as it was before, by descriptors, as with `ephemeral`. */
	unsigned compress_level;

	/* A thread of the library does it, in which all signals are blocked. When it fails, the
	 * capture ends: WEIR_STORAGE. The spool must be on a disk. */
	enum weir_sync sync;
	uint64_t sync_interval_ns; /* 1 s */
	uint64_t sync_bytes;	   /* of payload (64 MiB) */

	uint64_t messages_max; /* the capture ends with this message, */
	uint64_t bytes_max;    /* with the one that reaches so many payload bytes, */
	uint64_t duration_ns;  /* or after this time (each: no limit) */

	enum weir_destination to;
	char *const *command; /* ends with NULL; "{}" in it stands for the path of the data, which
				 is its standard input otherwise. Ephemeral: of a descriptor
				 that it gets, /dev/fd/N */
	int stream_fd;

	/* Returns 0 when it is done with the segment, which is deleted then; else it is kept. */
	int (*on_segment)(const struct weir_segment *segment, void *data);

	/* The command is about to be started, or has ended: for who shares a terminal with it. May
	 * be NULL. */
	void (*on_command)(bool runs, void *data);

	/* A segment was kept: the command ended with `wait_status` (wait(2)), or could not be
	 * started, −errno. If it is ephemeral, that is until the capture is freed, and the paths
	 * are good until then, for other processes too. May be NULL. */
	void (*on_kept)(const struct weir_segment *segment, int wait_status, void *data);

	/* What an earlier run left in the spool was damaged, lost or in the way, and `message` says
	 * in a sentence what became of it. From weir_capture_new() on. May be NULL. */
	void (*on_recovered)(const char *message, void *data);

	/* A connection was opened, ended, or could not be made. May be NULL. */
	void (*on_connection)(const struct weir_connection *connection, void *data);

	/* The disk is full, and on_full is not to stop: `message` says what that means. Told once
	 * for a while. May be NULL. */
	void (*on_full_disk)(const char *message, void *data);

	/* Called every `tick_ns`. May be NULL. */
	void (*on_tick)(const struct weir_stats *stats, void *data);
	uint64_t tick_ns;

	void *data; /* for all of them */
};

struct weir_capture;

/* Opens the spool; nothing is connected yet. *ret_capture is set in any case but that of no memory
 * (WEIR_STORAGE and NULL), so that weir_capture_message() can be asked. What the options point to
 * must stay until weir_capture_free(). Returns WEIR_DONE, WEIR_USAGE or WEIR_STORAGE. */
WEIR_API enum weir_outcome weir_capture_new(const struct weir_capture_options *options,
					    struct weir_capture **ret_capture);

/* Captures until the server closes, a limit is reached or weir_capture_stop() is called, then waits
 * until everything was handed on. To be called once. Returns an enum weir_outcome. */
WEIR_API enum weir_outcome weir_capture_run(struct weir_capture *capture);

/* Ends a run in good order; the second call ends it at once. May be called from another thread and
 * from a signal handler. */
WEIR_API void weir_capture_stop(struct weir_capture *capture);

WEIR_API struct weir_stats weir_capture_stats(const struct weir_capture *capture);

/* Its strings are good until the capture goes on, or is freed. {.url = ""} if there is no such
 * source. */
WEIR_API struct weir_source_stats weir_capture_source_stats(const struct weir_capture *capture,
							    size_t source);

/* Why the outcome was not WEIR_DONE, for people: what failed, on what, why. "" if nothing did. */
WEIR_API const char *weir_capture_message(const struct weir_capture *capture);

/* Where the spool is, or was; NULL if there was none. Of an ephemeral one: the directory whose disk
 * it is on. */
WEIR_API const char *weir_capture_spool(const struct weir_capture *capture);

/* Whether the spool is still there: named ones always are, temporary ones while they hold
 * anything, ephemeral ones never. */
WEIR_API bool weir_capture_spool_exists(const struct weir_capture *capture);

/* The URL of a source without its query, which may hold secrets. "" if there is no such source. */
WEIR_API const char *weir_capture_url(const struct weir_capture *capture, size_t source);

/* NULL is fine. A temporary spool that holds nothing is removed. */
WEIR_API void weir_capture_free(struct weir_capture *capture);

/*
 * A client without a spool: messages go to a function as they come.
 *
 *	static void print(struct weir_client *client, const struct weir_message *message,
 *			  void *data)
 *	{
 *		printf("%.*s\n", (int)message->size, (const char *)message->data);
 *	}
 *
 *	struct weir_source source = {.url = "ws://127.0.0.1:9001/"};
 *	struct weir_client_options options = {.source = &source, .on_message = print};
 *	struct weir_client *client = NULL;
 *	enum weir_outcome r = weir_client_new(&options, &client);
 *	if (r == WEIR_DONE)
 *		r = weir_client_run(client);
 *
 * A client belongs to one thread. The functions that it calls may call all of these but
 * weir_client_run(), weir_client_step() and weir_client_free().
 */
struct weir_client;

enum weir_kind {
	WEIR_TEXT = 1, /* valid UTF-8 */
	WEIR_BINARY = 2,
};

/* A message, or a piece of one: valid during the call alone. */
struct weir_message {
	enum weir_kind kind;
	const void *data; /* not NUL-terminated; may be NULL when `size` is 0 */
	size_t size;
	bool first;	     /* it begins with this piece, */
	bool last;	     /* and ends with this one; both are true of a whole message */
	unsigned connection; /* which one brought it; between two that a source has at the same
				time, pieces are mixed */
	uint64_t time_ns;    /* when it was received, since 1970 */
};

struct weir_client_options {
	const struct weir_source *source;

	/* Messages are given in pieces, as they arrive, so that one of any size needs no memory.
	 * Otherwise they are given whole, and source->message_max (64 MiB then) is how much memory
	 * one may take. */
	bool pieces;

	/* Each may be NULL. */
	void (*on_open)(struct weir_client *client, void *data); /* after source->script */
	void (*on_message)(struct weir_client *client, const struct weir_message *message,
			   void *data);
	/* A connection was opened, ended, or could not be made. */
	void (*on_connection)(struct weir_client *client, const struct weir_connection *connection,
			      void *data);
	void *data;
};

/* Nothing is connected yet. *ret_client is set in any case but that of no memory (WEIR_STORAGE and
 * NULL). What the options point to must stay until weir_client_free(). WEIR_DONE or WEIR_USAGE. */
WEIR_API enum weir_outcome weir_client_new(const struct weir_client_options *options,
					   struct weir_client **ret_client);

/* Connects, and goes on until the source has ended: after weir_client_close(), when the server
 * closed or was lost and source->reconnect is not set, or nothing more is to be tried. To be called
 * once. WEIR_DONE, WEIR_NOT_CONNECTED, WEIR_BROKEN, or WEIR_STORAGE (no memory). */
WEIR_API enum weir_outcome weir_client_run(struct weir_client *client);

/* The same, one step at a time, for who has a loop of his own: does what can be done, and waits for
 * something to do `timeout_ms` at most (-1: as long as it takes, 0: not at all). Returns whether
 * there is more to come; if not, weir_client_outcome() says how it ended.
 *
 * It is to be called when the descriptor is readable (poll(2)), and after weir_client_timeout_ms()
 * at the latest; -1 is no such time. */
WEIR_API bool weir_client_step(struct weir_client *client, int timeout_ms);
WEIR_API int weir_client_fd(const struct weir_client *client);
WEIR_API int weir_client_timeout_ms(const struct weir_client *client);
WEIR_API enum weir_outcome weir_client_outcome(const struct weir_client *client);

/* Sends a message; the bytes are copied. It goes out as fast as the server takes it; up to 16 MiB
 * may wait. Nothing is received while more than 1 MiB of it waits. Returns 0; -ENOTCONN: there is
 * no open connection; -ENOBUFS: too much is waiting; -EILSEQ: text that is not UTF-8; -EINVAL: no
 * kind; -ENOMEM. */
WEIR_API int weir_client_send(struct weir_client *client, enum weir_kind kind, const void *data,
			      size_t size);

/* Sends a Ping with up to 125 bytes (-EINVAL: more). Errors as above. */
WEIR_API int weir_client_ping(struct weir_client *client, const void *data, size_t size);

/* How many bytes wait to be sent. */
WEIR_API size_t weir_client_waiting(const struct weir_client *client);

/* Says Close, and ends: weir_client_run() returns when the server has answered, or after 3 seconds.
 * `code` is one that a client may send, RFC 6455 section 7.4 (1000 to 1003, 1007 to 1014, 3000 to
 * 4999), or 1005: none; `reason` is UTF-8, or NULL, and cut behind 123 bytes at the end of a
 * character. Returns 0; -EINVAL: another code; -EILSEQ: the reason is not UTF-8; -ENOMEM. */
WEIR_API int weir_client_close(struct weir_client *client, uint16_t code, const char *reason);

enum weir_client_state {
	WEIR_CLIENT_CONNECTING, /* or waiting for the next attempt */
	WEIR_CLIENT_OPEN,
	WEIR_CLIENT_CLOSING,
	WEIR_CLIENT_ENDED,
};

WEIR_API enum weir_client_state weir_client_state(const struct weir_client *client);

struct weir_client_stats {
	uint64_t messages;    /* whole ones that were given to on_message */
	uint64_t bytes;	      /* of their payloads */
	uint64_t wire_bytes;  /* received, frame headers and control frames too */
	uint64_t sent;	      /* messages that were taken by weir_client_send() */
	uint64_t connections; /* that were opened */
	uint64_t failures;    /* attempts that did not become one */
	uint16_t close_code;  /* the server's last; 0: none, 1005: a Close without a code */
};

WEIR_API struct weir_client_stats weir_client_stats(const struct weir_client *client);

/* The subprotocol that the server chose; NULL: none, or not open. */
WEIR_API const char *weir_client_subprotocol(const struct weir_client *client);

/* Why the outcome was not WEIR_DONE, for people. "" if nothing failed. */
WEIR_API const char *weir_client_message(const struct weir_client *client);

/* NULL is fine. An open connection is ended without a Close. */
WEIR_API void weir_client_free(struct weir_client *client);

/*
 * A reader: the records of a spool, in order, without a capture. It takes no lock and changes
 * nothing, so that a spool can be read by any number of others while it is written and processed.
 *
 *	struct weir_reader *reader;
 *	struct weir_record record;
 *	int r = weir_reader_open("trades", NULL, &reader);
 *
 *	while (r >= 0 && (r = weir_reader_next(reader, &record)) > 0)
 *		if (record.kind == WEIR_TEXT && record.payload)
 *			printf("%.*s\n", (int)record.size, (const char *)record.payload);
 *	weir_reader_close(reader);
 *
 * All of these return -errno where they fail. A reader belongs to one thread at a time.
 */
struct weir_reader;

struct weir_reader_options {
	/* What is captured from now on is read too: 0 of weir_reader_next() is only "not yet".
	 * Otherwise it is the end of what there was when the reader was opened. */
	bool live;

	/* Become the owner: the spool is locked against captures, brought into order as after a
	 * crash, and can be acknowledged. Not together with `live`. */
	bool own;
};

/* Events, which are not messages but belong to the record. There may be more of them one day:
 * anything from WEIR_EVENT on is an event. docs/format.md says what value and flags mean. */
enum weir_event {
	WEIR_EVENT = 16,
	WEIR_EVENT_CONNECTED = 16,
	WEIR_EVENT_DISCONNECTED = 17, /* value: the close code in the lowest 16 bits */
	WEIR_EVENT_GAP = 18,	      /* value: how many messages are missing, 0: not known */
	WEIR_EVENT_RECONNECTED = 19,  /* value: for how long there was no connection, ns */
	WEIR_EVENT_GAP_END = 20,      /* value: how many bytes of payload were in the gap */
};

struct weir_record {
	uint64_t seq;	  /* its number; they only go up */
	uint64_t skipped; /* how many numbers are missing before it: they were acknowledged, or
			     cannot be read; 0 behind a seek */
	uint64_t time_ns; /* since 1970 */
	unsigned kind;	  /* enum weir_kind of a message, enum weir_event of an event */
	unsigned flags;
	unsigned source;
	unsigned connection;
	uint64_t value; /* of an event */
	uint64_t size;	/* of the payload of a message */

	/* The payload, right from the buffer of the reader, until the next call; its checksum was
	 * right. NULL for an event, and for a message that is larger than the buffer, 512 KiB: then
	 * weir_reader_payload() has it. */
	const void *payload;
};

/* `options` may be NULL. *ret_reader is NULL on failure. -ENOENT, -ENOTDIR: there is no such
 * directory; -EMEDIUMTYPE: it is not a spool; -EINVAL: options that exclude each other; -ENOMEM;
 * those of open(2). When it is to be owned also -EWOULDBLOCK: another process does; -EPROTO: it was
 * written by another version, and those of recovering it. */
WEIR_API int weir_reader_open(const char *path, const struct weir_reader_options *options,
			      struct weir_reader **ret_reader);

/* NULL is fine. An owned spool stays as it is. */
WEIR_API void weir_reader_close(struct weir_reader *reader);

/* 1: *ret_record is the next record. 0: there is none, or not yet. An error is about one record
 * (-EBADMSG: it is damaged) or about one segment (-EBADMSG too, -ENOMSG: it is none, -EPROTO: of
 * another version; -EIO, …), of which weir_reader_message() tells; the next call goes on behind it.
 */
WEIR_API int weir_reader_next(struct weir_reader *reader, struct weir_record *ret_record);

/* Copies from the payload of the record that was returned last. A count, 0 behind its end. */
WEIR_API ssize_t weir_reader_payload(struct weir_reader *reader, uint64_t offset, void *data,
				     size_t size);

/* Goes to the first record whose number is `seq` or larger, back or forth. */
WEIR_API void weir_reader_seek(struct weir_reader *reader, uint64_t seq);

/* Goes to a record of this time or later, such that the one before it is of an earlier time, by a
 * binary search: to the first one, if times never go back in this spool. Where they do (a clock was
 * set, or there are several sources), others of this time may be before it or further behind. When
 * all are earlier, to the end. */
WEIR_API int weir_reader_seek_time(struct weir_reader *reader, uint64_t time_ns);

/* Of a live reader, when weir_reader_next() returned 0: waits until there may be more, `timeout_ms`
 * at most (-1: as long as it takes). False: the spool has no owner any more, and all of it was
 * read; always for a reader that is not live.
 *
 * The descriptor is for who waits by poll(2): when it is readable, call weir_reader_wait(reader,
 * 0), then weir_reader_next(). -1 where nothing can be watched. It does not tell of the end: look
 * from time to time. */
WEIR_API bool weir_reader_wait(struct weir_reader *reader, int timeout_ms);
WEIR_API int weir_reader_fd(const struct weir_reader *reader);

/* Says that all records up to number `seq` are processed: deletes every segment that has none
 * behind it. What is left of a segment comes again in the next run. -EPERM: the spool is not owned;
 * those of unlink(2). */
WEIR_API int weir_reader_ack(struct weir_reader *reader, uint64_t seq);

/* What the last error of weir_reader_next() was about, for people. "" if there was none. */
WEIR_API const char *weir_reader_message(const struct weir_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
