/* Prints records, one after the other, in the form that was asked for. */
#ifndef WEIR_CLI_PRINTER_H
#define WEIR_CLI_PRINTER_H

#include "cli/output.h"
#include "cli/selection.h"

enum printer_form {
	PRINTER_NEWLINE, /* the payload, and behind it a newline, */
	PRINTER_NUL,	 /* or a NUL; */
	PRINTER_LENGTH,	 /* before it its size, 4 bytes, the highest first; see printer.c */
	PRINTER_JSON,	 /* an object on a line of its own */
};

struct printer {
	struct output *output;
	struct selection selection;
	enum printer_form form;
	uint64_t left;	   /* how many more are to be printed at most */
	bool done;	   /* nothing more is wanted */
	uint64_t next_seq; /* behind the record that was printed or passed by last */
};

/* Prints those of `count` records that are wanted. An error is one of reading the payload of the
 * record before next_seq, which is half printed. */
int printer_put(struct printer *printer, struct reader *reader, const struct record *records,
		size_t count);

#endif
