// Earlier readings, in this browser's database. They are never sent anywhere.

const MAX_ENTRIES = 100;
const STORE = "readings";

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("texlens", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** One transaction; `work` gets the store and returns the request whose result is returned. */
async function transact(mode, work) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** All entries, the newest first; none if the browser stores nothing. */
export async function earlier() {
  try {
    return (await transact("readonly", (store) => store.getAll())).sort((a, b) => b.time - a.time);
  } catch {
    return [];
  }
}

/** Save an entry { id, time, name, latex, reading, picture }, and delete the oldest ones. */
export async function save(entry) {
  try {
    await transact("readwrite", (store) => store.put(entry));
    for (const { id } of (await earlier()).slice(MAX_ENTRIES)) await forget(id);
  } catch {
    // A private window may refuse: then there is no history.
  }
}

export function forget(id) {
  return transact("readwrite", (store) => store.delete(id));
}

export function forgetAll() {
  return transact("readwrite", (store) => store.clear());
}
