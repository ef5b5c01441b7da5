/*
 * What is said first on each connection (log in, then subscribe), and what is waited for meanwhile.
 * Nothing in here does any I/O but reading files while a script is made.
 *
 * A script has one step on each line. Blanks around it, empty lines, and lines that begin with #
 * mean nothing. To users, weir-script(5) tells the same.
 *
 *   send TEXT             sends a text message: all that follows on the line
 *   send "TEXT"           the same; for blanks at the ends, line breaks, or an @ or " in front
 *   send @FILE            sends what is in a file, as it is
 *   send-binary …         the same three, as a binary message
 *   expect TIME "TEXT"    waits for a message that has this text in it
 *   expect TIME /REGEX/   waits for a message that matches (PCRE2, in UTF-8); (?<name>…) captures
 *                         a value for the steps behind it; the last / of the line ends it, so that
 *                         those inside need no backslash
 *   wait TIME             does nothing for that long
 *
 * TEXT may hold ${…}, see template.h. Regular expressions and files may not: there, $ is a $.
 * TIME is as units_parse_time() takes it. A FILE is relative to the directory of the script.
 *
 * An expectation sees the messages that come after the send before it, each of them, whatever waits
 * stand in between; several expectations in a row are met in order, each by a message of its own.
 * What comes before the first send (from the opening on) counts for expectations before it only.
 */
#ifndef WEIR_WEBSOCKET_SCRIPT_H
#define WEIR_WEBSOCKET_SCRIPT_H

#include "base/macro.h"
#include "base/message.h"

#define SCRIPT_SIZE_MAX MIB(1)
#define SCRIPT_STEPS_MAX 1000
#define SCRIPT_MESSAGE_MAX MIB(1)   /* to send, with all values in it */
#define SCRIPT_TEXTS_MAX MIB(16)    /* all texts and messages of a script, without values */
#define SCRIPT_EXAMINED_MAX KIB(64) /* of a message; what is behind is not looked at */
#define SCRIPT_TIME_MAX_S 86400
#define SCRIPT_TEXT_SIZE 512

struct script;

struct script_error {
	size_t line;		     /* 0: not in a line of a script */
	char text[SCRIPT_TEXT_SIZE]; /* plain English, printable, without secrets */
};

int script_new(struct script **ret_script);
void script_free(struct script *script);

/* Each adds steps at the end. −EINVAL: `*ret_error` says why; −ENOMEM. In both cases the script is
 * good for script_free() only. `directory` NULL is the current one. */
int script_add_text(struct script *script, const char *text, size_t size, const char *directory,
		    struct script_error *ret_error);
int script_add_file(struct script *script, const char *path, struct script_error *ret_error);

/* One text message: TEXT, with ${…} in it, or @FILE, relative to the current directory. */
int script_add_send(struct script *script, const char *argument, struct script_error *ret_error);

size_t script_step_count(const struct script *script);

/* Whether there is an ${env:…} or ${file:…} in it. */
bool script_has_secrets(const struct script *script);

/* A script on its way through one connection. The script must live longer. */
struct script_run;

enum script_action_kind {
	SCRIPT_DONE,   /* nothing is left to do */
	SCRIPT_SEND,   /* send this message, and ask for the next action */
	SCRIPT_EXPECT, /* wait for messages, at most `time_ns` */
	SCRIPT_WAIT,   /* wait `time_ns` */
};

struct script_action {
	enum script_action_kind kind;
	enum message_kind message;
	const void *data; /* as long as nothing else is done with the run */
	size_t size;
	uint64_t time_ns;
};

int script_run_new(const struct script *script, struct script_run **ret_run);
void script_run_free(struct script_run *run);

/* What is to be done now. To be asked when the connection is open, after each SCRIPT_SEND, after
 * script_run_elapsed(), and at once when script_run_see() says so; EXPECT and WAIT stay what they
 * are until then, with their time from the first answer on.
 * −EMSGSIZE: with the values in it the message is longer than SCRIPT_MESSAGE_MAX; −EILSEQ: it is a
 * text message, and no UTF-8; −ENOMEM; or what ended the run before. The run is over then. */
int script_run_next(struct script_run *run, struct script_action *ret_action);

/* Tells a message that was received. 1: ask for the next action. 0: nothing changed. −ENOMEM. A
 * message on which a regular expression would work too long matches it not. */
int script_run_see(struct script_run *run, const void *data, size_t size);

/* The same for messages in pieces: they count when they end. */
int script_run_see_piece(struct script_run *run, const struct message_piece *piece);

/* The time of the present action is over: −ETIMEDOUT after an EXPECT, and the run is over; else 0.
 */
int script_run_elapsed(struct script_run *run);

/* Where the run is, or why it is over, for people: "step 3 (line 7): no message matched /ok/ within
 * 5.0 s (2 came)". No secrets, no captured values. */
void script_run_describe(const struct script_run *run, char text[SCRIPT_TEXT_SIZE]);

DEFINE_CLEANUP(struct script *, script_free);
DEFINE_CLEANUP(struct script_run *, script_run_free);

#endif
