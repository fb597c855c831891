/** What the scripts of a page ask the console for, in the name of whoever is signed in. */

import { ApiError, errorOf, requestId } from "kiosk/api/http.js";

const ATTEMPTS = 3;

/**
 * Read something.
 *
 * @param {string} path
 * @param {Record<string, string>} query
 * @returns {Promise<any>}
 * @throws {ApiError}
 */
export async function read(path, query) {
  const headers = { "x-unattended": "1" };
  return answered(await fetched(`${path}?${new URLSearchParams(query)}`, { headers }));
}

/**
 * Change something. Where no answer comes it is asked for again; the same id has one effect.
 *
 * @param {string} path
 * @param {Record<string, string>} fields
 * @returns {Promise<any>}
 * @throws {ApiError}
 */
export async function change(path, fields) {
  const body = new URLSearchParams({ ...fields, request_id: requestId() });
  const headers = { "x-csrftoken": cookie("starlette_admin_csrftoken") };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await answered(await fetched(path, { method: "POST", headers, body }));
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== "NETWORK" || attempt === ATTEMPTS) throw error;
    }
  }
}

/**
 * @param {string} path
 * @param {RequestInit} options
 */
async function fetched(path, options) {
  try {
    return await fetch(path, { ...options, cache: "no-store" });
  } catch {
    throw new ApiError("NETWORK", "The console does not answer.");
  }
}

/** @param {Response} response */
async function answered(response) {
  if (response.ok) return response.json();
  // Signed out meanwhile: the page itself asks for the password.
  if (response.status === 401) location.reload();
  throw errorOf(await response.json().catch(() => undefined), response.status);
}

/** @param {string} name */
function cookie(name) {
  const found = document.cookie.split("; ").find((one) => one.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}
