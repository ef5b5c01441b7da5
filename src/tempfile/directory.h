/* The directory for temporary files: what the rest of the library asks, beside <tempfile.h>. */
#ifndef WEIR_TEMPFILE_DIRECTORY_H
#define WEIR_TEMPFILE_DIRECTORY_H

/* Where much can be written: a disk rather than memory, if there is one. As tempfile_gettempdir().
 */
const char *temp_directory_for_much(void);

#endif
