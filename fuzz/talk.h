/* A session, used as a client uses it, and what became of it. */
#ifndef WEIR_FUZZ_TALK_H
#define WEIR_FUZZ_TALK_H

#include "websocket/session.h"

#define TALK_HEAD_MAX 512
#define TALK_STREAM_MAX (KIB(4) + TALK_HEAD_MAX)

/* What the user does with whole messages. */
enum talk_action {
	TALK_LISTEN,
	TALK_ECHO,	    /* sends short ones back */
	TALK_PING,	    /* answers each with a Ping */
	TALK_CLOSE,	    /* closes at the one whose number is given; 0: as soon as it is open */
	TALK_FAIL,	    /* returns an error at that one */
	TALK_CLOSE_BETWEEN, /* closes behind so many bytes of the stream */
	TALK_RETIRE,	    /* goes gently, at the message whose number is given */
};

struct talk_options {
	bool offers_compression;
	size_t head; /* bytes of the stream that are a good answer, which is cut once at most */
	uint64_t message_max, fragments_max;
	enum talk_action action;
	size_t at;
};

/* How much is shown of the stream at a time, and how much may be made of it each time. */
struct talk_steps {
	size_t bytes;
	size_t budget; /* SESSION_ROOM_MIN at least, and none at all each third time; 0: no end */
};

/* Both digests are over whole messages or frames, whatever the pieces that they came in. */
struct talk {
	size_t messages;
	uint32_t heard; /* digest of messages */
	size_t frames;
	uint32_t said;	    /* digest of frames */
	uint16_t said_code; /* in the Close frame; 0: none was said */
	int error;	    /* of session_take() */
	enum session_state state;
	bool compressed;
	bool closed; /* by the user */
	const char *subprotocol;
	int status; /* of HTTP */
	/* as in struct client_end, which is large */
	enum client_end_kind kind;
	uint16_t close_code;
	bool cut;
	enum frame_violation violation;
	enum handshake_error handshake_error;
	uint32_t detail; /* digest of it */
};

/* The Sec-WebSocket-Accept that the session wants: the same one each time. */
const char *talk_accept(void);

/* Shows a whole stream to a new session, and then its end. Whatever is wrong is a crash. */
void talk(const struct talk_options *options, const struct talk_steps *steps, const uint8_t *stream,
	  size_t size, struct talk *ret_talk);

#endif
